#!/usr/bin/python3
"""A camera for tests, made of GStreamer's RTSP server: camera.py ADDRESS; prints the port it took.

Paths: /bframes and /bframes2 H.264 with B-frames and AAC; /hevc H.265 and A-law; /latm H.264 and AAC as LATM; /opus; /ts MPEG-TS;
/udp and /tcp refuse other transports; /group is multicast; /login wants user and pass, by Digest.
Debian packages: gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good -bad -ugly gstreamer1.0-libav
"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)

PICTURE = "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1 ! "
SOUND = "audiotestsrc is-live=true ! audio/x-raw,rate=%d,channels=%d ! audioconvert ! "
SIMPLE = PICTURE + "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! video/x-h264,profile=baseline ! "
H264 = SIMPLE + "rtph264pay name=pay0 pt=96 "
ALAW = SOUND % (8000, 1) + "alawenc ! rtppcmapay name=pay1 pt=8"

PATHS = {
    "/bframes": PICTURE + "x264enc bframes=2 b-adapt=false speed-preset=ultrafast key-int-max=25 ! video/x-h264,profile=main ! "
    "rtph264pay name=pay0 pt=96 " + SOUND % (48000, 2) + "avenc_aac ! rtpmp4gpay name=pay1 pt=97",
    "/hevc": PICTURE + "x265enc speed-preset=ultrafast key-int-max=25 ! rtph265pay name=pay0 pt=96 config-interval=-1 " + ALAW,
    "/latm": H264 + SOUND % (48000, 2) + "avenc_aac ! rtpmp4apay name=pay1 pt=97",
    "/opus": H264 + SOUND % (48000, 2) + "opusenc ! rtpopuspay name=pay1 pt=97",
    "/ts": SIMPLE + "mpegtsmux name=m alignment=7 ! rtpmp2tpay name=pay0 pt=33 " + SOUND % (48000, 2) + "avenc_aac ! m.",
}


def factory(launch, protocols=None):
    f = GstRtspServer.RTSPMediaFactory()
    f.set_launch("( " + launch + " )")
    f.set_shared(True)
    if protocols is not None:
        f.set_protocols(protocols)
    return f


def permit(f, role, construct):
    f.add_role_from_structure(Gst.Structure.new_from_string(
        f"{role}, media.factory.access=(boolean)true, media.factory.construct=(boolean){construct}"))


server = GstRtspServer.RTSPServer()
server.set_address(sys.argv[1])
server.set_service("0")
mounts = server.get_mount_points()
transports = GstRtsp.RTSPLowerTrans
factories = {path: factory(launch) for path, launch in PATHS.items()}
factories["/bframes2"] = factory(PATHS["/bframes"])  # for a second client: shared media tell it the first one's RTP-Info
factories["/udp"] = factory(H264 + ALAW, transports.UDP)
factories["/tcp"] = factory(H264 + ALAW, transports.TCP)
factories["/group"] = factory(H264 + ALAW, transports.UDP_MCAST)
pool = GstRtspServer.RTSPAddressPool()
pool.add_range("239.9.9.1", "239.9.9.9", 22900, 22930, 1)
factories["/group"].set_address_pool(pool)
factories["/login"] = factory(H264 + ALAW)

auth = GstRtspServer.RTSPAuth()
auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
user = GstRtspServer.RTSPToken()
user.set_string("media.factory.role", "user")
auth.add_digest("user", "pass", user)
anybody = GstRtspServer.RTSPToken()
anybody.set_string("media.factory.role", "anybody")
auth.set_default_token(anybody)
for path, f in factories.items():
    permit(f, "user", "true")
    permit(f, "anybody", "false" if path == "/login" else "true")
    mounts.add_factory(path, f)
server.set_auth(auth)
if not server.attach(None):
    sys.exit("camera: the port cannot be bound")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
