package units

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ProbeArgs are ffprobe's arguments that make it print what ReadProbe reads. The input's own options and its URL follow.
// ffprobe as a player prints packets as the demuxer gives them, where ffmpeg would already have mended their times.
var ProbeArgs = []string{"-v", "error", "-show_packets", "-show_data",
	"-show_entries", "packet=codec_type,pts_time,dts_time,flags,data", "-of", "default"}

// ReadProbe reads what ffprobe printed with ProbeArgs. An output that was cut short gives what was whole.
func ReadProbe(r io.Reader, video, audio string) ([]Unit, error) {
	var out []Unit
	var u Unit
	var data []byte
	in, hexes := false, false
	scan := bufio.NewScanner(r)
	scan.Buffer(make([]byte, 64<<10), 1<<20)
	for scan.Scan() {
		line := scan.Text()
		key, value, _ := strings.Cut(line, "=")
		switch {
		case line == "[PACKET]":
			u, data, in, hexes = Unit{NoPTS: true, NoDTS: true}, nil, true, false
		case !in:
		case line == "[/PACKET]":
			in = false
			switch u.Kind {
			case Video:
				u.Data = Normal(video, data)
			case Audio:
				u.Data = NormalAudio(audio, data)
			default:
				continue
			}
			if len(u.Data) > 0 {
				out = append(out, u)
			}
		case hexes && len(line) > 9 && line[8] == ':':
			b, err := hexLine(line)
			if err != nil {
				return nil, fmt.Errorf("read ffprobe's %q: %w", line, err)
			}
			data = append(data, b...)
		case key == "codec_type":
			u.Kind = value
		case key == "pts_time":
			u.PTS, u.NoPTS = seconds(value)
		case key == "dts_time":
			u.DTS, u.NoDTS = seconds(value)
		case key == "flags":
			u.Key = strings.HasPrefix(value, "K")
		case key == "data":
			hexes = true
		}
	}
	return out, scan.Err()
}

// Probe reads a recording with ffprobe.
func Probe(path, video, audio string) ([]Unit, error) {
	out, err := exec.Command("ffprobe", append(ProbeArgs[:len(ProbeArgs):len(ProbeArgs)], path)...).Output()
	if err != nil {
		return nil, fmt.Errorf("ffprobe %s: %w", path, err)
	}
	return ReadProbe(bytes.NewReader(out), video, audio)
}

// hexLine reads "00000010: 0011 2233 ... text".
func hexLine(line string) ([]byte, error) {
	rest := line[9:]
	if len(rest) > 41 {
		rest = rest[:41]
	}
	return hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
}

func seconds(s string) (time.Duration, bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, true
	}
	return time.Duration(f*1e6+sign(f)/2) * time.Microsecond, false
}

func sign(f float64) float64 {
	if f < 0 {
		return -1
	}
	return 1
}
