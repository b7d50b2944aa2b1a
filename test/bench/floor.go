package main

import (
	"context"
	"net"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"weir/wire/rtmp/chunk"
)

// floor is the least that any server can do: it sends the clip in a loop, in its own time, to everybody who connects,
// each message with one writev for each connection, from one thread, and nothing else. The bytes are those of RTMP.
func floor(ctx context.Context, addr, clip string) error {
	file, err := os.ReadFile(clip)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	joined := make(chan int, 4096)
	go accept(ln, joined)
	messages := tags(file)
	var fds []int
	began := time.Now()
	for i := 0; ; i++ {
		m := messages[i%len(messages)]
		if i > 0 && i%len(messages) == 0 {
			began = began.Add(messages[len(messages)-1].at + time.Second/30)
		}
		timer := time.NewTimer(time.Until(began.Add(m.at)))
		for due := false; !due; {
			select {
			case fd := <-joined:
				fds = append(fds, fd)
			case <-timer.C:
				due = true
			case <-ctx.Done():
				timer.Stop()
				return nil
			}
		}
		fds = slices.DeleteFunc(fds, func(fd int) bool {
			// Raw, so that the runtime's bookkeeping for a call that may block is not counted; it may, and shall.
			_, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&m.parts[0])), uintptr(len(m.parts)))
			if errno != 0 {
				_ = unix.Close(fd)
			}
			return errno != 0
		})
	}
}

// accept hands out descriptors in blocking mode, outside of the runtime's poller.
func accept(ln net.Listener, joined chan<- int) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		f, err := c.(*net.TCPConn).File()
		c.Close()
		if err != nil {
			continue
		}
		fd, err := unix.Dup(int(f.Fd())) // Fd makes it blocking
		f.Close()
		if err == nil {
			joined <- fd
		}
	}
}

// message is one tag of the clip as RTMP chunks.
type message struct {
	at    time.Duration
	parts []unix.Iovec
}

// tags cuts an FLV file (FLV 10.1 E.2, E.3) that was made here.
func tags(file []byte) (out []message) {
	for b := file[13:]; len(b) >= 15; {
		n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		at := uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
		if len(b) < 15+n {
			break
		}
		m := chunk.Message{Type: b[0], StreamID: 1, Timestamp: at, ChunkID: 6, Payload: b[11 : 11+n]}
		var parts []unix.Iovec
		for _, p := range chunk.Split(m) {
			parts = append(parts, unix.Iovec{Base: &p[0], Len: uint64(len(p))})
		}
		out = append(out, message{time.Duration(at) * time.Millisecond, parts})
		b = b[15+n:]
	}
	return out
}
