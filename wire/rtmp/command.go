package rtmp

import (
	"fmt"

	"weir/transmux/amf"
	"weir/wire/rtmp/chunk"
)

// A Command is a remote call of a NetConnection or a NetStream (RTMP 1.0, 7.2). Args begin with the command object.
type Command struct {
	Name        string
	Transaction float64
	Args        []amf.Value
}

// ParseCommand reads a message of type 20, or of type 17, whose first byte is a format that is always 0. Arguments
// behind a malformed one are lost, and no error: encoders that write them mean no harm.
func ParseCommand(m chunk.Message) (Command, error) {
	values, err := amf.DecodeAll(unformatted(m))
	if len(values) == 0 {
		if err == nil {
			err = amf.ErrShort
		}
		return Command{}, fmt.Errorf("read command: %w", err)
	}
	name, ok := values[0].(string)
	if !ok {
		return Command{}, fmt.Errorf("read command: its name is no string: %w", ErrProtocol)
	}
	c := Command{Name: name}
	if len(values) > 1 {
		c.Transaction, _ = values[1].(float64)
		c.Args = values[2:]
	}
	return c, nil
}

// unformatted is the payload without the format byte that commands and data of AMF3 begin with.
func unformatted(m chunk.Message) []byte {
	if (m.Type == chunk.CommandAMF3 || m.Type == chunk.DataAMF3) && len(m.Payload) > 0 && m.Payload[0] == 0 {
		return m.Payload[1:]
	}
	return m.Payload
}

// Message makes an AMF0 message of the command for a message stream; 0 is the connection.
func (c Command) Message(streamID uint32) (chunk.Message, error) {
	b, err := amf.Append(nil, c.Name, c.Transaction)
	if err == nil {
		b, err = amf.Append(b, c.Args...)
	}
	if err != nil {
		return chunk.Message{}, fmt.Errorf("write command %q: %w", c.Name, err)
	}
	m := chunk.Message{Type: chunk.CommandAMF0, StreamID: streamID, ChunkID: commandChunks, Payload: b}
	if streamID != 0 {
		m.ChunkID = statusChunks
	}
	return m, nil
}

// arg is argument i; nil if there are fewer.
func (c Command) arg(i int) amf.Value {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return nil
}

// text is argument i if it is a string of sane length.
func (c Command) text(i int) string {
	s, _ := c.arg(i).(string)
	if len(s) > maxNameBytes {
		return ""
	}
	return s
}

// status is the information object of onStatus, _result and _error.
func status(level, code, description string, more ...amf.Field) *amf.Object {
	return &amf.Object{Fields: append([]amf.Field{{Name: "level", Value: level}, {Name: "code", Value: code}, {Name: "description", Value: description}}, more...)}
}

// onStatus makes the command that reports on a stream.
func onStatus(level, code, description string, more ...amf.Field) Command {
	return Command{Name: "onStatus", Args: []amf.Value{nil, status(level, code, description, more...)}}
}

// data makes a data message, such as |RtmpSampleAccess.
func data(streamID uint32, values ...amf.Value) (chunk.Message, error) {
	b, err := amf.Append(nil, values...)
	if err != nil {
		return chunk.Message{}, fmt.Errorf("write data message: %w", err)
	}
	return chunk.Message{Type: chunk.DataAMF0, StreamID: streamID, ChunkID: statusChunks, Payload: b}, nil
}

// call writes commands to a message stream, in one write.
func (c *conn) call(streamID uint32, commands ...Command) error {
	ms := make([]chunk.Message, 0, len(commands))
	for _, cmd := range commands {
		m, err := cmd.Message(streamID)
		if err != nil {
			return err
		}
		ms = append(ms, m)
	}
	return c.write(ms...)
}
