package http

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"weir/transmux"
	"weir/transmux/flv"
	"weir/transmux/mpegts"
	"weir/transmux/ring"
	"weir/wire"
)

// fill makes a stream of four seconds that has ended.
func fill(d *door, tracks []*transmux.Track) {
	w := d.stream.NewWriter()
	w.SetTracks(tracks)
	write(w, tracks, 0, 100, 500)
	d.stream.Close(io.EOF)
}

func demux(t *testing.T, path string, body []byte) found {
	t.Helper()
	var f found
	if strings.HasSuffix(path, ".ts") {
		for p := range slices.Chunk(body, mpegts.PacketSize) {
			if len(p) < mpegts.PacketSize || p[0] != 0x47 {
				t.Fatal("got something else; want whole packets")
			}
			switch pid := uint16(p[1]&0x1f)<<8 | uint16(p[2]); {
			case p[1]&0x40 == 0:
			case pid == 0x100: // begins with an adaptation field where the picture is a key or the clock is told
				at := 4
				if p[3]&0x20 != 0 {
					at += 1 + int(p[4])
					f.keys = append(f.keys, p[5]&0x40 != 0)
				}
				f.pictures = append(f.pictures, p[at+9+int(p[at+8])])
			case pid == 0x101:
				f.sounds++
			}
		}
		return f
	}
	if err := flv.NewReader(flv.NewDemuxer(&f)).Feed(body, time.Time{}); err != nil {
		t.Error(err)
	}
	return f
}

// lastGroup is what a late player gets of fill: the newest group of pictures.
func lastGroup() (want []byte) {
	for n := 75; n < 100; n++ {
		want = append(want, byte(n))
	}
	return want
}

func TestPlay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it, path, contentType, protocol string
		tracks                          []*transmux.Track
	}{
		{"plays FLV", "/live/it.flv", "video/x-flv", "http-flv", flvTracks},
		{"plays MPEG-TS", "/live/it.ts", "video/mp2t", "http-ts", tsTracks},
	} {
		for _, version := range []string{"1.0", "1.1"} {
			t.Run(tt.it+" over HTTP/"+version, func(t *testing.T) {
				t.Parallel()
				d := newDoor(ring.Limits{})
				fill(d, tt.tracks)
				c, err := net.Dial("tcp", serve(t, d))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				fmt.Fprintf(c, "GET %s?user=u&pass=p HTTP/%s\r\nHost: x\r\nUser-Agent: it\r\n\r\n", tt.path, version)
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != tt.contentType || resp.Proto != "HTTP/"+version {
					t.Errorf("got %s %s, %s; want 200, %s", resp.Proto, resp.Status, got, tt.contentType)
				}
				if chunked := slices.Contains(resp.TransferEncoding, "chunked"); chunked != (version == "1.1") {
					t.Errorf("got chunked %v; want it for HTTP/1.1 only", chunked)
				}
				if resp.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(resp.Header.Get("Cache-Control"), "no-store") {
					t.Errorf("got header %v; want CORS, and no cache", resp.Header)
				}
				if f := demux(t, tt.path, body); !bytes.Equal(f.pictures, lastGroup()) || !f.keys[0] || f.sounds < 24 {
					t.Errorf("got pictures %v, %d sounds; want %v, 25", f.pictures, f.sounds, lastGroup())
				}
				if err := <-d.ended; !errors.Is(err, io.EOF) {
					t.Errorf("got %v; want %v", err, io.EOF)
				}
				p, name, m := d.last()
				if name != "live/it" || p.Protocol != tt.protocol || p.User != "u" || p.Password != "p" || p.Agent != "it" || p.Layers != "tcp → http" || p.Listener != "http" {
					t.Errorf("got %q for %+v", name, p)
				}
				if n, _, _ := m.Totals(); n != uint64(len(body)) {
					t.Errorf("got %d bytes counted; want %d", n, len(body))
				}
			})
		}
	}
	t.Run("plays FLV over WebSocket", func(t *testing.T) {
		t.Parallel()
		d := newDoor(ring.Limits{})
		fill(d, flvTracks)
		c, _, err := websocket.Dial(t.Context(), "ws://u:p@"+serve(t, d)+"/live/it.flv", nil)
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(1 << 20)
		var body []byte
		for {
			kind, b, err := c.Read(t.Context())
			if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
				break
			}
			if err != nil || kind != websocket.MessageBinary {
				t.Fatalf("got %v, %v; want binary messages and a goodbye", kind, err)
			}
			body = append(body, b...)
		}
		if f := demux(t, ".flv", body); !bytes.Equal(f.pictures, lastGroup()) {
			t.Errorf("got pictures %v; want %v", f.pictures, lastGroup())
		}
		if err := <-d.ended; err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("got %v; want the end", err)
		}
		if p, _, _ := d.last(); p.Protocol != "ws-flv" || p.Layers != "tcp → http → websocket" {
			t.Errorf("got %+v; want ws-flv", p)
		}
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	refusal := func(err error) error { return &wire.Refusal{Err: err, Reason: "because"} }
	for _, tt := range []struct {
		it, method, target string
		err                error
		status             int
		header, body       string
	}{
		{"asks for a user", "GET", "/a.flv", refusal(wire.ErrNeedUser), 401, `Www-Authenticate: Basic realm="weir"`, "because\n"},
		{"asks again for a wrong user", "GET", "/a.flv", refusal(wire.ErrWrongUser), 401, "Www-Authenticate: Basic", "because\n"},
		{"forbids", "GET", "/a.ts", refusal(wire.ErrNotAllowed), 403, "Cache-Control: no-store", "not allowed: because\n"},
		{"does not find", "HEAD", "/a.ts", refusal(wire.ErrNotFound), 404, "", ""},
		{"does not take bad names", "GET", "/a/../../b.flv", refusal(wire.ErrBadName), 404, "", ""},
		{"tells that a name is busy", "GET", "/a.flv", refusal(wire.ErrBusy), 409, "", "because"},
		{"tells a limit", "GET", "/a.flv", refusal(wire.ErrLimit), 503, "Retry-After: 5", "limit reached: because"},
		{"tells nothing of inner errors", "GET", "/a.flv", errors.New("secret"), 503, "", "the stream cannot be had now\n"},
		{"has nothing elsewhere", "GET", "/a.mp4", nil, 404, "", "streams are at"},
		{"has no stream without a name", "GET", "/.flv", nil, 404, "", ""},
		{"answers HEAD", "HEAD", "/a.flv", nil, 200, "Content-Type: video/x-flv", ""},
		{"answers OPTIONS", "OPTIONS", "/a.flv", nil, 204, "Access-Control-Allow-Methods: GET", ""},
		{"takes no DELETE", "DELETE", "/a.flv", nil, 405, "Allow: GET", ""},
		{"lets Flash in", "GET", "/crossdomain.xml", nil, 200, "Content-Type: text/x-cross-domain-policy", `<allow-access-from domain="*"`},
		{"needs HTTP/1", "GET", "/a.flv", nil, 505, "", "streams need HTTP/1.0 or HTTP/1.1"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			d := newDoor(ring.Limits{})
			fill(d, flvTracks)
			d.err = tt.err
			w := record(d, tt.method, tt.target)
			var header strings.Builder
			_ = w.Header().Write(&header)
			if w.Code != tt.status || !strings.Contains(header.String(), tt.header) || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("got %d, %q, %q; want %d, %q, %q", w.Code, header.String(), w.Body, tt.status, tt.header, tt.body)
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Errorf("got %q; want no inner errors", w.Body)
			}
		})
	}
	t.Run("refuses what FLV cannot carry", func(t *testing.T) {
		t.Parallel()
		d := newDoor(ring.Limits{})
		d.stream.NewWriter().SetTracks([]*transmux.Track{{ID: 1, Codec: transmux.MPEG2Video}})
		if w := record(d, "GET", "/a.flv"); w.Code != 406 || !strings.Contains(w.Body.String(), "FLV has no video codec mpeg2video") {
			t.Errorf("got %d, %q; want 406 with the reason", w.Code, w.Body)
		}
		if err := <-d.ended; !errors.Is(err, wire.ErrNoTrack) {
			t.Errorf("got %v; want %v", err, wire.ErrNoTrack)
		}
	})
}

// BenchmarkFanOut delivers one stream of 2.5 Mbit/s to 100 players on loopback.
func BenchmarkFanOut(b *testing.B) {
	const players = 100
	d := newDoor(ring.Limits{})
	w := d.stream.NewWriter()
	w.SetTracks(flvTracks)
	write(w, flvTracks, 0, 25, 12_500)
	address := serve(b, d)
	read := make(chan int, 1000)
	for range players {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		fmt.Fprint(c, "GET /it.flv HTTP/1.1\r\nHost: x\r\n\r\n")
		go func() {
			buf := make([]byte, 256<<10)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				read <- n
			}
		}()
	}
	wait := func(total int) {
		for total > 0 {
			total -= <-read
		}
	}
	wait(players * 25 * 12_600)
	b.SetBytes(players * 12_600)
	b.ReportAllocs()
	n := 25
	for b.Loop() {
		write(w, flvTracks, n, n+1, 12_500)
		n++
		wait(players * 12_500)
	}
}
