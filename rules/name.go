package rules

// MaxName is the greatest length of a stream name in bytes.
const MaxName = 255

// ValidName reports whether s can name a stream: segments of A-Z a-z 0-9 . _ - joined by /, at most MaxName bytes, no
// segment empty, "." or "..".
func ValidName(s string) bool {
	if s == "" || len(s) > MaxName {
		return false
	}
	for start := 0; start <= len(s); {
		end := start
		for end < len(s) && s[end] != '/' {
			if !nameByte(s[end]) {
				return false
			}
			end++
		}
		if seg := s[start:end]; seg == "" || seg == "." || seg == ".." {
			return false
		}
		start = end + 1
	}
	return true
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// nameRule is what to tell somebody whose name is not one.
const nameRule = "segments of A-Z a-z 0-9 . _ - joined by /, at most 255 bytes"

// validUser reports whether s can be a user's name: the bytes of a segment, and @.
func validUser(s string) bool {
	for i := 0; i < len(s); i++ {
		if !nameByte(s[i]) && s[i] != '@' {
			return false
		}
	}
	return s != "" && len(s) <= MaxName
}
