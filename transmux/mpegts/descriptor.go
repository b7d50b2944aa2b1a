package mpegts

import (
	"encoding/binary"
	"iter"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Descriptor tags (ISO 13818-1 2.6, EN 300 468 6.1, AV1 in MPEG-2 TS 2.2).
const (
	descRegistration = 0x05
	descCA           = 0x09
	descLanguage     = 0x0a
	descMetadata     = 0x26
	descVBITeletext  = 0x46
	descService      = 0x48
	descTeletext     = 0x56
	descSubtitling   = 0x59
	descAC3          = 0x6a
	descEAC3         = 0x7a
	descAAC          = 0x7c
	descExtension    = 0x7f
	descAV1          = 0x80
)

// descriptors yields tag and content, and stops at one that does not fit.
func descriptors(b []byte) iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		for len(b) >= 2 && 2+int(b[1]) <= len(b) {
			n := 2 + int(b[1])
			if !yield(b[0], b[2:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// descriptor returns the content of the first descriptor with a tag.
func descriptor(b []byte, tag uint8) (content []byte, ok bool) {
	for t, c := range descriptors(b) {
		if t == tag {
			return c, true
		}
	}
	return nil, false
}

// registered returns the format_identifier of the first registration descriptor (2.6.8), or "".
func registered(b []byte) string {
	if c, ok := descriptor(b, descRegistration); ok && len(c) >= 4 {
		return string(c[:4])
	}
	return ""
}

// language returns the first ISO 639-2 code that the descriptors tell, in small letters.
func language(b []byte) string {
	for tag, c := range descriptors(b) {
		switch tag {
		case descLanguage, descTeletext, descVBITeletext, descSubtitling:
			if len(c) < 3 {
				continue
			}
			lang := strings.ToLower(string(c[:3]))
			if !strings.ContainsFunc(lang, func(r rune) bool { return r < 'a' || r > 'z' }) {
				return lang
			}
		}
	}
	return ""
}

// dvbText decodes a string of EN 300 468 annex A. Tables other than Latin-1, UTF-8 and UCS-2 are read as Latin-1 if they
// are not valid UTF-8, which many broadcasters send without saying so.
func dvbText(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	switch first := b[0]; {
	case first == 0x11: // UCS-2
		var units []uint16
		for b = b[1:]; len(b) >= 2; b = b[2:] {
			units = append(units, binary.BigEndian.Uint16(b))
		}
		return printable(string(utf16.Decode(units)))
	case first == 0x10 && len(b) >= 3:
		b = b[3:]
	case first < 0x20:
		b = b[1:]
	}
	if utf8.Valid(b) {
		return printable(string(b))
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return printable(string(runes))
}

func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == 0x8a:
			return ' '
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, s))
}
