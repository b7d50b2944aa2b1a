package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"weir/wire"
)

// A Client is a connection to a server, with the socket at hand for writing media in batches.
type Client struct {
	gortsplib.Client

	mu   sync.Mutex
	conn *Conn
	once sync.Once
}

// CheckURL says what is wrong with the URL of a remote, or nil.
func CheckURL(u *url.URL) error {
	switch {
	case u == nil:
		return errors.New("an RTSP source or sink needs a URL")
	case u.Scheme != "rtsp" && u.Scheme != "rtsps":
		return fmt.Errorf("the scheme of %s is not rtsp or rtsps", wire.Redact(u))
	case u.Hostname() == "":
		return fmt.Errorf("%s has no host", wire.Redact(u))
	}
	return nil
}

// NewClient returns a client that is not started, and the URL to ask for. Its hooks may be set before Start.
func NewClient(r wire.Remote) (*Client, *base.URL, error) {
	u, err := base.ParseURL(r.URL.String())
	if err != nil {
		return nil, nil, fmt.Errorf("%s is not a URL that RTSP can ask for", r.Redacted()) // err may hold the password
	}
	c := &Client{}
	c.Scheme, c.Host, c.UserAgent = u.Scheme, u.Host, "weir"
	c.WriteQueueSize = 2048
	c.OnTransportSwitch = func(error) {}
	c.OnPacketsLost = func(uint64) {}
	c.OnDecodeError = func(error) {}
	c.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return c.keep(conn), nil
	}
	c.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := (&tls.Dialer{Config: &tls.Config{ServerName: host}}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return c.keep(conn), nil
	}
	return c, u, nil
}

func (c *Client) keep(conn net.Conn) net.Conn {
	k := NewConn(conn)
	c.mu.Lock()
	c.conn = k
	c.mu.Unlock()
	return k
}

// Conn is the present connection, nil before there is one.
func (c *Client) Conn() *Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// Close says goodbye with TEARDOWN and frees everything. It may be called more than once.
func (c *Client) Close() { c.once.Do(c.Client.Close) }
