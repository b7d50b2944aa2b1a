package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir/rules"
)

type explainCmd struct {
	File     string   `arg:"" optional:"" help:"The rules file." default:"weir.yaml"`
	Publish  string   `help:"Name that somebody wants to publish." xor:"what" required:"" placeholder:"NAME"`
	Play     string   `help:"Name that somebody wants to play." xor:"what" required:"" placeholder:"NAME"`
	Protocol string   `help:"Protocol it is done over." default:"rtmp" placeholder:"NAME"`
	Listener string   `help:"Key in listen; the first that carries the protocol if it is not given." placeholder:"KEY"`
	User     string   `help:"User who has proved who it is." placeholder:"NAME"`
	Address  string   `help:"Address of the peer." default:"127.0.0.1" placeholder:"IP"`
	Codecs   []string `help:"Codecs of the stream, such as h264,aac." placeholder:"NAME"`
	JSON     bool     `name:"json" help:"Print the steps as JSON."`
}

// Help shows examples below the flags.
func (explainCmd) Help() string {
	return `Exit status 0 if the peer is admitted, 2 if it is denied.

Examples:
  weir explain --publish live/7 --user studio --address 10.1.2.3 --codecs h264,aac
  weir explain edge.yaml --play cam/gate --protocol rtsp`
}

// Run prints the steps.
func (c *explainCmd) Run(t *terminal) error {
	addr, err := netip.ParseAddr(c.Address)
	if err != nil {
		return usage{fmt.Errorf("--address: %q is not an IP address", c.Address)}
	}
	video, audio, err := sortCodecs(c.Codecs)
	if err != nil {
		return usage{err}
	}
	file, err := readFile(c.File, t)
	if err != nil {
		return err
	}
	r := rules.Request{Action: rules.Publish, Name: c.Publish, Protocol: c.Protocol, Listener: c.Listener, Address: addr, User: c.User}
	if r.Listener == "" {
		r.Listener = file.ListenerOf(c.Protocol)
	}
	var e rules.Explanation
	if c.Play != "" {
		r.Action, r.Name = rules.Play, c.Play
		e = file.ExplainPlay(r, video, audio)
	} else {
		e = file.ExplainPublish(r, video, audio)
	}
	if c.JSON {
		err = printJSON(t, e)
	} else {
		_, err = fmt.Fprint(t.out, e)
	}
	if err == nil && !e.Admitted() {
		return findings{exitUsage}
	}
	return err
}

// sortCodecs tells video codecs from audio codecs.
func sortCodecs(list []string) (video, audio []string, err error) {
	allVideo, allAudio := rules.Codecs()
	for _, c := range list {
		switch {
		case slices.Contains(allVideo, c):
			video = append(video, c)
		case slices.Contains(allAudio, c):
			audio = append(audio, c)
		default:
			return nil, nil, fmt.Errorf("--codecs: %q is none of %s, %s", c, strings.Join(allVideo, ", "), strings.Join(allAudio, ", "))
		}
	}
	return video, audio, nil
}
