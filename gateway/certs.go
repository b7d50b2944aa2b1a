package gateway

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is a key pair in files. What is in the files at the time of a handshake is used; a pair that cannot be
// read leaves the one before in place.
type certificate struct {
	certFile, keyFile string

	log *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	looked time.Time
	tried  [2]time.Time // the files' times when they were last read
	failed string       // what was last said of them; empty if they were well
}

// recheck is how often the files are looked at.
const recheck = 5 * time.Second

// tlsConfig loads the pair and returns a configuration that follows the files. Versions are like "1.2"; empty is the
// library's default.
func tlsConfig(certFile, keyFile, minVersion, maxVersion string, log *slog.Logger) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	conf := &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
	for _, v := range []struct {
		text string
		to   *uint16
	}{{minVersion, &conf.MinVersion}, {maxVersion, &conf.MaxVersion}} {
		if v.text == "" {
			continue
		}
		n, ok := map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[v.text]
		if !ok {
			return nil, fmt.Errorf("TLS version %q is not one of 1.0, 1.1, 1.2, 1.3", v.text)
		}
		*v.to = n
	}
	return conf, nil
}

func (c *certificate) load() error {
	c.looked, c.tried = time.Now(), c.times() // before they are read, so that what changes meanwhile is read again
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.pair = &pair
	return nil
}

func (c *certificate) times() (t [2]time.Time) {
	for i, f := range []string{c.certFile, c.keyFile} {
		if st, err := os.Stat(f); err == nil {
			t[i] = st.ModTime()
		}
	}
	return t
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > recheck {
		c.looked = time.Now()
		if c.failed != "" || c.times() != c.tried {
			c.reload()
		}
	}
	return c.pair, nil
}

// reload takes the new pair. Files that are half written are tried again; until then the old pair serves.
func (c *certificate) reload() {
	err := c.load()
	switch {
	case err == nil:
		c.failed = ""
		c.log.Info("certificate was renewed", "file", c.certFile)
	case err.Error() != c.failed:
		c.failed = err.Error()
		c.log.Warn("certificate cannot be renewed; the one before goes on", "error", err)
	}
}
