package rtmp

import (
	"testing"
	"time"
)

func TestAuthRefusesOldAndForeignAnswers(t *testing.T) {
	t.Parallel()
	a := NewAuth(func(user string) (string, bool) { return "pw", user == "ann" })
	begin := time.Unix(1_000_000, 0)
	ask := func() string {
		r := &ConnectRequest{Query: "authmod=adobe", User: "ann"}
		return a.judge(r, "192.0.2.1", begin)
	}
	answer := func(description, password string) string {
		suffix, err := adobeAnswer(&StatusError{raw: description}, "ann", password)
		if err != nil {
			t.Fatal(err)
		}
		rest, _, _ := credentials(suffix[1:])
		return rest
	}
	tests := []struct {
		it, addr, password string
		after              time.Duration
		want               bool
	}{
		{"takes a good answer", "192.0.2.1", "pw", time.Second, true},
		{"refuses a wrong password", "192.0.2.1", "no", time.Second, false},
		{"refuses an answer from elsewhere", "192.0.2.2", "pw", time.Second, false},
		{"refuses a late answer", "192.0.2.1", "pw", time.Minute, false},
		{"refuses an answer from before", "192.0.2.1", "pw", -time.Second, false},
	}
	for _, tt := range tests {
		t.Run("it "+tt.it, func(t *testing.T) {
			t.Parallel()
			r := &ConnectRequest{Query: answer(ask(), tt.password) + "&kept=1", User: "ann"}
			refused := a.judge(r, tt.addr, begin.Add(tt.after))
			if r.Verified != tt.want || (refused == "") != tt.want || r.Query != "kept=1" {
				t.Errorf("got verified %v, query %q, %q; want %v", r.Verified, r.Query, refused, tt.want)
			}
		})
	}
	if got := a.judge(&ConnectRequest{Query: "authmod=adobe&response=x&opaque=zz", User: "ann"}, "192.0.2.1", begin); got != authReason+"authfailed" {
		t.Errorf("got %q; want a refusal", got)
	}
}
