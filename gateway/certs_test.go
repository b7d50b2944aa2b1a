package gateway

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// selfSigned writes a certificate for a name.
func selfSigned(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(1e6 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der2, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: der2}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificateFollowsItsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	selfSigned(t, cert, key, "one")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		conf, err := tlsConfig(cert, key, "1.2", "1.3", slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		name := func() string {
			t.Helper()
			pair, err := conf.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(pair.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return leaf.Subject.CommonName
		}
		if got := name(); got != "one" {
			t.Errorf("got %q; want one", got)
		}
		later := time.Now().Add(1e5 * time.Hour)
		write := func(damage bool) {
			selfSigned(t, cert, key, "two")
			if damage {
				if err := os.WriteFile(key, []byte("half"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			later = later.Add(time.Hour)
			for _, f := range []string{cert, key} {
				if err := os.Chtimes(f, later, later); err != nil {
					t.Fatal(err)
				}
			}
		}
		write(true)
		for range 3 {
			_ = pass(t.Context(), recheck+time.Second)
			if got := name(); got != "one" {
				t.Errorf("got %q while the files are half written; want one", got)
			}
		}
		write(false)
		_ = pass(t.Context(), recheck+time.Second)
		if got := name(); got != "two" {
			t.Errorf("got %q; want two", got)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("got %d lines; want one for the damage and one for the renewal\n%s", n, &log)
		}
		if conf.MinVersion != tls.VersionTLS12 || conf.MaxVersion != tls.VersionTLS13 {
			t.Errorf("got versions %x to %x; want 1.2 to 1.3", conf.MinVersion, conf.MaxVersion)
		}
	})
	if _, err := tlsConfig(cert, key, "1.4", "", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("got TLS 1.4; want an error")
	}
}
