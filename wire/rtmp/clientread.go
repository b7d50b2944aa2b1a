package rtmp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"weir/transmux/amf"
	"weir/wire"
	"weir/wire/rtmp/chunk"
)

// A StatusError is a server's no. It wraps the refusal of package wire that comes nearest.
type StatusError struct {
	Code        string // such as NetStream.Play.StreamNotFound
	Description string // the server's words, without our secrets

	raw string // with them, for the parameters of authentication
}

func (e *StatusError) Error() string {
	if e.Description == "" {
		return "the server says " + e.Code
	}
	return fmt.Sprintf("the server says %s: %s", e.Code, e.Description)
}

// Unwrap returns wire.ErrBusy, ErrNotFound, ErrNotAllowed, ErrNeedUser or ErrWrongUser; nil if the server gave no reason.
func (e *StatusError) Unwrap() error {
	switch {
	case strings.Contains(e.raw, "reason=authfailed") || strings.Contains(e.raw, "reason=nosuchuser"):
		return wire.ErrWrongUser
	case strings.Contains(e.raw, "authmod="):
		return wire.ErrNeedUser
	}
	switch e.Code {
	case "NetStream.Publish.BadName":
		return wire.ErrBusy
	case "NetStream.Play.StreamNotFound", "NetConnection.Connect.InvalidApp":
		return wire.ErrNotFound
	case "NetStream.Publish.Denied", "NetConnection.Connect.Rejected":
		return wire.ErrNotAllowed
	}
	return nil
}

// A ReconnectError means that the server asks to connect again (Enhanced RTMP v2).
type ReconnectError struct {
	URL *url.URL // of the application, to which the stream name is to be added; nil is the same as before
}

func (e *ReconnectError) Error() string {
	if e.URL == nil {
		return "the server asks to connect again"
	}
	return "the server asks to connect again, to " + e.URL.Host
}

// ID is the message stream ID, for chunk.Chunked.AppendTo.
func (c *ClientConn) ID() uint32 { return c.id }

// Server is what the server said of itself.
func (c *ClientConn) Server() Capabilities { return c.server }

// Ignored counts messages of types that are not known.
func (c *ClientConn) Ignored() uint64 { return c.ignored.Load() }

// Read returns the next audio, video or data message (types 8, 9, 18) of the stream. io.EOF means that the stream ended;
// other errors are a *StatusError, a *ReconnectError, or those of the connection. A publisher must call it too, on a
// goroutine of its own, since it answers pings: see Wait.
func (c *ClientConn) Read() (chunk.Message, error) {
	for {
		if len(c.pending) > 0 {
			m := c.pending[0]
			c.pending = c.pending[1:]
			return m, nil
		}
		m, err := c.next()
		if err != nil {
			return m, err
		}
		if m.Type != chunk.CommandAMF0 {
			return m, nil
		}
		cmd, err := ParseCommand(m)
		if err != nil {
			c.ignored.Add(1)
			continue
		}
		if err := c.ended(cmd); err != nil {
			return chunk.Message{}, err
		}
	}
}

// Wait reads and drops what the server says until the session ends, and returns why; for publishers.
func (c *ClientConn) Wait() error {
	for {
		if _, err := c.Read(); err != nil {
			return err
		}
	}
}

// WriteBuffers sends chunks made by chunk.Split for this stream's ID, all in one go. It consumes bufs. The error wraps
// wire.ErrSlow when the server took nothing for Limits.Write.
func (c *ClientConn) WriteBuffers(bufs net.Buffers) error { return c.writeBuffers(bufs) }

// WriteMessage sends one message of its own, such as metadata.
func (c *ClientConn) WriteMessage(m chunk.Message) error {
	m.StreamID = c.id
	return c.write(m)
}

// Interrupt makes Read end with cause; writing goes on. Safe for concurrent use.
func (c *ClientConn) Interrupt(cause error) { c.interrupt(cause) }

// Close says goodbye, which takes at most a second, and closes. Safe for concurrent use, and to repeat.
func (c *ClientConn) Close() error {
	c.goodbye.Do(func() {
		c.interrupt(net.ErrClosed)
		late := time.AfterFunc(time.Second, func() { _ = c.nc.Close() }) // whatever is being written
		defer late.Stop()
		bye := []Command{{Name: "deleteStream", Transaction: 7, Args: []amf.Value{nil, float64(c.id)}}}
		if c.publish {
			bye = append([]Command{{Name: "FCUnpublish", Transaction: 6, Args: []amf.Value{nil, c.key}}}, bye...)
		}
		_ = c.call(0, bye...) // it is closed either way
	})
	return c.nc.Close()
}

// next returns the next message that is not the connection's own business: media, data, and commands as type 20.
func (c *ClientConn) next() (chunk.Message, error) {
	for {
		m, err := c.r.Read()
		if err != nil {
			return m, c.why(err)
		}
		if done, err := c.common(m); err != nil {
			return m, c.why(err)
		} else if done {
			continue
		}
		switch m.Type {
		case chunk.Audio, chunk.Video:
			if len(m.Payload) > 0 {
				return m, nil
			}
		case chunk.DataAMF0, chunk.DataAMF3:
			m.Payload, m.Type = unformatted(m), chunk.DataAMF0
			name, _, err := amf.Decode(m.Payload)
			switch name {
			case "|RtmpSampleAccess", "onStatus", "onPlayStatus":
				continue // about the session, not of the stream
			}
			if err != nil {
				c.ignored.Add(1)
				continue
			}
			return m, nil
		case chunk.CommandAMF0, chunk.CommandAMF3:
			m.Payload, m.Type = unformatted(m), chunk.CommandAMF0
			return m, nil
		case chunk.Aggregate:
			for part, err := range split(m) {
				if err != nil {
					break
				}
				if part.Type == chunk.Audio || part.Type == chunk.Video || part.Type == chunk.DataAMF0 {
					c.pending = append(c.pending, part)
				}
			}
			if len(c.pending) > 0 {
				first := c.pending[0]
				c.pending = c.pending[1:]
				return first, nil
			}
		case chunk.UserControl:
		default:
			c.ignored.Add(1)
		}
	}
}

// ended is the error that a command means, if it means one.
func (c *ClientConn) ended(cmd Command) error {
	switch cmd.Name {
	case "close":
		return io.EOF
	case "onStatus":
	default:
		return nil
	}
	info := cmd.arg(1)
	code, _ := find(info, "code").(string)
	level, _ := find(info, "level").(string)
	switch code {
	case "NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetStream.Play.Complete", "NetConnection.Connect.Closed", "NetStream.Unpublish.Success":
		return io.EOF
	case "NetConnection.Connect.ReconnectRequest":
		e := &ReconnectError{}
		if to, _ := find(info, "tcUrl").(string); to != "" && len(to) <= maxNameBytes {
			base, err := url.Parse(c.redirect)
			if err == nil {
				e.URL, err = base.Parse(to)
			}
			if err != nil || defaultPorts[e.URL.Scheme] == "" {
				return fmt.Errorf("the server asks to connect again to what is no RTMP URL: %w", ErrProtocol)
			}
		}
		return e
	case "NetStream.Seek.Failed", "NetStream.Play.InsufficientBW":
		return nil
	}
	if level == "error" || strings.HasSuffix(code, ".Rejected") || strings.HasSuffix(code, ".BadName") || strings.HasSuffix(code, ".StreamNotFound") {
		return c.refusal(info)
	}
	return nil
}

// refusal makes an error of an information object.
func (c *ClientConn) refusal(info amf.Value) error {
	e := &StatusError{}
	e.Code, _ = find(info, "code").(string)
	e.raw, _ = find(info, "description").(string)
	if e.Code == "" {
		e.Code = "no without a code"
	}
	e.Code, e.raw = e.Code[:min(len(e.Code), 100)], e.raw[:min(len(e.raw), 1000)]
	e.Description = e.raw
	// Servers echo what they were sent, and tell parameters of authentication.
	for _, s := range c.secrets {
		e.Description = strings.ReplaceAll(e.Description, s, "•••")
	}
	e.Description, _, _ = strings.Cut(e.Description, "?reason=")
	e.Description = strings.TrimRight(e.Description, " :")
	return e
}

// adobeAnswer makes what is added to the app for the next connection, or returns the refusal as it stands.
func adobeAnswer(refused *StatusError, user, password string) (string, error) {
	d := refused.raw
	if strings.Contains(d, "authmod=llnw") {
		return "", fmt.Errorf("the server wants Limelight's authentication (llnw), which is not spoken here: %w", wire.ErrNotAllowed)
	}
	if !strings.Contains(d, "authmod=adobe") || errors.Is(refused, wire.ErrWrongUser) {
		return "", refused
	}
	if user == "" {
		return "", fmt.Errorf("%w: put them into the URL", wire.ErrNeedUser)
	}
	suffix := "?authmod=adobe&user=" + url.QueryEscape(user)
	_, query, ok := strings.Cut(d, "?")
	if !ok {
		return suffix, nil
	}
	p, _ := authParams(query)
	if p["reason"] != "needauth" {
		return "", refused
	}
	given := p["opaque"]
	if given == "" {
		given = p["challenge"]
	}
	answer := randomWord()
	suffix += "&challenge=" + answer + "&response=" + adobeResponse(user, password, p["salt"], given, answer)
	if p["opaque"] != "" {
		suffix += "&opaque=" + p["opaque"]
	}
	return suffix, nil
}
