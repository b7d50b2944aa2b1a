package gateway

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"weir/wire"
)

// metrics are what the operator can count. Everything has a bounded number of label values.
type metrics struct {
	registry *prometheus.Registry
	retries  *prometheus.CounterVec
	refusals *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	panics   prometheus.Counter
	g        *Gateway
	gaps     uint64 // of streams that have ended; guarded by hub.mu

	mu      sync.Mutex
	ended   map[flow]totals // of meters that are gone
	present map[*wire.Meter]flow
}

// flow is a direction and a protocol.
type flow struct {
	in       bool
	protocol string
}

type totals struct{ bytes, skips uint64 }

var (
	descStreams   = prometheus.NewDesc("weir_streams", "Streams that are live, by the protocol they come in.", []string{"protocol"}, nil)
	descReceivers = prometheus.NewDesc("weir_receivers", "Players and sends that receive a stream.", []string{"protocol"}, nil)
	descIn        = prometheus.NewDesc("weir_ingress_bytes_total", "Bytes of media received.", []string{"protocol"}, nil)
	descOut       = prometheus.NewDesc("weir_egress_bytes_total", "Bytes of media sent.", []string{"protocol"}, nil)
	descSkips     = prometheus.NewDesc("weir_skips_total", "Times a slow receiver was moved to the newest key frame.", []string{"protocol"}, nil)
	descWaiting   = prometheus.NewDesc("weir_waiting", "Streams that wait in line for a name or destination another has.", nil, nil)
	descGaps      = prometheus.NewDesc("weir_gaps_total", "Losses and repairs of the time line of streams.", nil, nil)
)

func newMetrics(g *Gateway) *metrics {
	m := &metrics{
		g: g, registry: prometheus.NewRegistry(), ended: make(map[flow]totals), present: make(map[*wire.Meter]flow),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_retries_total", Help: "Times a source or a cable was tried again.",
		}, []string{"kind"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_refusals_total", Help: "Requests to publish or play that were refused.",
		}, []string{"reason"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_latency_seconds", Help: "Time from the arrival of a unit to its write.",
			Buckets: []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"protocol"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_panics_total", Help: "Sessions that ended by an internal error."}),
	}
	m.registry.MustRegister(m.retries, m.refusals, m.latency, m.panics, m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// latencyOf returns the function that observes the latency of a protocol.
func (m *metrics) latencyOf(protocol string) func(time.Duration) {
	o := m.latency.WithLabelValues(protocol)
	return func(d time.Duration) { o.Observe(d.Seconds()) }
}

// join counts the meter of a sink while it runs; call what it returns at the end.
func (m *metrics) join(protocol string, meter *wire.Meter) (leave func()) {
	return m.add(flow{protocol: protocol}, meter)
}

// joinIn is join for a source.
func (m *metrics) joinIn(protocol string, meter *wire.Meter) (leave func()) {
	return m.add(flow{in: true, protocol: protocol}, meter)
}

func (m *metrics) add(f flow, meter *wire.Meter) func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.present[meter] = f
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.present, meter)
		m.sum(m.ended, f, meter)
	}
}

// keep adds the totals of a session that ended.
func (m *metrics) keep(in bool, protocol string, meter *wire.Meter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum(m.ended, flow{in, protocol}, meter)
}

func (m *metrics) sum(into map[flow]totals, f flow, meter *wire.Meter) {
	bytes, _, skips := meter.Totals()
	t := into[f]
	t.bytes += bytes
	t.skips += skips
	into[f] = t
}

// sent is how many bytes all cables and players were sent so far.
func (m *metrics) sent() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var n uint64
	for f, t := range m.ended {
		if !f.in {
			n += t.bytes
		}
	}
	for meter, f := range m.present {
		if !f.in {
			bytes, _, _ := meter.Totals()
			n += bytes
		}
	}
	return n
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descStreams, descReceivers, descIn, descOut, descSkips, descWaiting, descGaps} {
		ch <- d
	}
}

// Collect implements prometheus.Collector: it reads the live sessions. A session moves from there to what has ended
// under hub.mu, so no counter ever goes back.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	sums := make(map[flow]totals)
	receivers, streams := make(map[string]int), make(map[string]int)
	count := func(f flow, meter *wire.Meter) {
		m.sum(sums, f, meter)
		if !f.in {
			receivers[f.protocol]++
		}
	}
	h := m.g.hub
	h.mu.Lock()
	m.mu.Lock()
	for f, t := range m.ended {
		sums[f] = t
	}
	for meter, f := range m.present {
		count(f, meter)
	}
	m.mu.Unlock()
	for _, s := range h.sessions {
		if s.meter != nil {
			count(flow{s.action == "publish", s.peer.Protocol}, s.meter)
		}
	}
	gaps := m.gaps
	for _, l := range h.live {
		if l.up {
			streams[l.facts.Protocol]++
		}
		_, _, n := l.stream.Stats()
		gaps += n
	}
	h.mu.Unlock()

	for p, n := range streams {
		ch <- prometheus.MustNewConstMetric(descStreams, prometheus.GaugeValue, float64(n), p)
	}
	for p, n := range receivers {
		ch <- prometheus.MustNewConstMetric(descReceivers, prometheus.GaugeValue, float64(n), p)
	}
	waiting := m.g.serves.waiters() + m.g.sends.waiters()
	ch <- prometheus.MustNewConstMetric(descWaiting, prometheus.GaugeValue, float64(waiting))
	ch <- prometheus.MustNewConstMetric(descGaps, prometheus.CounterValue, float64(gaps))
	for f, t := range sums {
		if f.in {
			ch <- prometheus.MustNewConstMetric(descIn, prometheus.CounterValue, float64(t.bytes), f.protocol)
			continue
		}
		ch <- prometheus.MustNewConstMetric(descOut, prometheus.CounterValue, float64(t.bytes), f.protocol)
		ch <- prometheus.MustNewConstMetric(descSkips, prometheus.CounterValue, float64(t.skips), f.protocol)
	}
}
