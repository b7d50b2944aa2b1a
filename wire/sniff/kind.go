package sniff

// Kind is what the first byte of a connection tells about its protocol.
type Kind uint8

const (
	Unknown Kind = iota
	TLS          // 0x16, a handshake record (RFC 8446 5.1)
	HTTP         // an upper-case letter: a request line
	RTMP         // 0x03, the version of the handshake
	RTMPE        // 0x06 or 0x08, the same with encryption
	Policy       // '<': a Flash Player asks for a policy file before it connects
)

// Classify tells what a connection that begins with b speaks.
func Classify(b byte) Kind {
	switch {
	case b == 0x16:
		return TLS
	case b >= 'A' && b <= 'Z':
		return HTTP
	case b == 0x03:
		return RTMP
	case b == 0x06 || b == 0x08:
		return RTMPE
	case b == '<':
		return Policy
	}
	return Unknown
}

// String is the name of the kind in logs.
func (k Kind) String() string {
	switch k {
	case TLS:
		return "tls"
	case HTTP:
		return "http"
	case RTMP:
		return "rtmp"
	case RTMPE:
		return "rtmpe"
	case Policy:
		return "policy"
	}
	return "unknown"
}
