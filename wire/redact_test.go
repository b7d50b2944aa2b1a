package wire_test

import (
	"net/url"
	"strings"
	"testing"

	"weir/wire"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"it leaves a plain URL", "rtsp://10.0.0.7:554/stream1?transport=tcp&profile=main#a", "rtsp://10.0.0.7:554/stream1?transport=tcp&profile=main#a"},
		{"it blanks user and password", "rtsp://viewer:s3cr3t@10.0.0.7/stream1", "rtsp://•••@10.0.0.7/stream1"},
		{"it blanks a user alone", "rtsp://s3cr3t@10.0.0.7/stream1", "rtsp://•••@10.0.0.7/stream1"},
		{"it blanks an empty password", "rtsp://s3cr3t:@[::1]:554", "rtsp://•••@[::1]:554"},
		{"it blanks a password with signs", "rtsp://admin:s3%40cr3t%2F@h/x", "rtsp://•••@h/x"},
		{"it blanks a password with a bare at sign", "rtsp://admin:s3cr3t@x@h/x", "rtsp://•••@h/x"},
		{"it blanks without a scheme", "//admin:s3cr3t@h/x", "//•••@h/x"},
		{"it blanks where slashes were forgotten", "rtsp:admin:s3cr3t@h/x", "rtsp:•••@h/x"},
		{"it blanks secret keys only", "srt://h:1?mode=caller&passphrase=s3cr3t&latency=20", "srt://h:1?mode=caller&passphrase=•••&latency=20"},
		{"it blanks keys in capitals", "http://h/x?TOKEN=s3cr3t&Auth_Key=s3cr3t", "http://h/x?TOKEN=•••&Auth_Key=•••"},
		{"it blanks keys that are escaped", "http://h/x?p%61ssword=s3cr3t", "http://h/x?p%61ssword=•••"},
		{"it blanks signed URLs", "http://h/x?wsSecret=s3cr3t&X-Amz-Signature=s3cr3t&sign=s3cr3t", "http://h/x?wsSecret=•••&X-Amz-Signature=•••&sign=•••"},
		{"it blanks after a semicolon", "http://h/x?a=1;key=s3cr3t", "http://h/x?a=1;key=•••"},
		{"it blanks a value with an equals sign", "http://h/x?token=s3cr3t==&a=1", "http://h/x?token=•••&a=1"},
		{"it blanks all of a key that comes twice", "http://h/x?key=s3cr3t&&key=s3cr3t2&", "http://h/x?key=•••&&key=•••&"},
		{"it blanks in a fragment", "http://h/x#access_token=s3cr3t", "http://h/x#access_token=•••"},
		{"it keeps a broken escape", "http://h/x?%zz=1&pass=s3cr3t", "http://h/x?%zz=1&pass=•••"},
		{"it keeps the stream key in the path", "rtmp://h/live/key", "rtmp://h/live/key"},
		{"it keeps opaque URLs", "demo:bars", "demo:bars"},
		{"it keeps a lone scheme", "stdin:", "stdin:"},
		{"it keeps an empty URL", "", ""},
		{"it keeps line breaks out", "http://h/x%0a#a%0ab", "http://h/x%0a#a%0ab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := wire.Redact(u); got != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
			if got := (wire.Remote{URL: u}).Redacted(); got != c.want {
				t.Errorf("got %s from the remote; want %s", got, c.want)
			}
		})
	}
	if got := wire.Redact(nil); got != "" {
		t.Errorf("got %q for no URL; want nothing", got)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("rtsp", "h:554", "/x", "a=1&pass=%s")
	f.Add("", "", "x", ";&=;key=%s&&")
	f.Fuzz(func(t *testing.T, scheme, host, path, query string) {
		const secret = "s3cr3tS3CR3T"
		if strings.Contains(scheme+host+path+query, secret) {
			return // it is not only where it was put
		}
		u := &url.URL{Scheme: scheme, Host: host, Path: path, RawQuery: query + "&token=" + secret, User: url.UserPassword("u", secret)}
		if got := wire.Redact(u); strings.Contains(got, secret) {
			t.Fatalf("got %q; want no secret in it", got)
		}
	})
}
