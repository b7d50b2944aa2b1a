#!/usr/bin/python3
"""An independent RTSP camera: GStreamer's server plays a Matroska file in real time.

usage: camera.py ADDRESS PORT NAME=FILE:VIDEO:AUDIO...   (VIDEO: h264, h265 or -; AUDIO: aac, mp3, pcma or -)
NAME answers over TCP and UDP, NAME-mcast over multicast only, NAME-auth to user "viewer" with password "secret" (Digest).
"""
import sys
import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstRtspServer', '1.0')
gi.require_version('GstRtsp', '1.0')
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

VIDEO = {'h264': 'h264parse ! rtph264pay config-interval=-1 pt=96', 'h265': 'h265parse ! rtph265pay config-interval=-1 pt=96'}
AUDIO = {'aac': 'aacparse ! rtpmp4gpay pt=97', 'mp3': 'mpegaudioparse ! rtpmpapay pt=14', 'pcma': 'rtppcmapay pt=8'}


def launch(path, video, audio):
    chain, n = f'filesrc location="{path}" ! matroskademux name=d ', 0
    for codec, table in ((video, VIDEO), (audio, AUDIO)):
        if codec != '-':
            chain += f'd. ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! {table[codec]} name=pay{n} '
            n += 1
    return f'( {chain})'


def factory(line, protocols=None):
    f = GstRtspServer.RTSPMediaFactory()
    f.set_launch(line)
    f.set_shared(True)
    if protocols is not None:
        f.set_protocols(protocols)
    return f


def allow(f, role, construct=True):
    s = Gst.Structure.new_from_string(
        f'{role}, media.factory.access=(boolean)true, media.factory.construct=(boolean){str(construct).lower()}')
    f.add_role_from_structure(s)


def main():
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_service(sys.argv[2])
    server.set_address(sys.argv[1])
    mounts = server.get_mount_points()
    for i, arg in enumerate(sys.argv[3:]):
        name, rest = arg.split('=', 1)
        path, video, audio = rest.rsplit(':', 2)
        line = launch(path, video, audio)
        plain, guarded = factory(line), factory(line)
        mcast = factory(line, GstRtsp.RTSPLowerTrans.UDP_MCAST)
        pool = GstRtspServer.RTSPAddressPool()
        pool.add_range(f'239.7.{i}.1', f'239.7.{i}.9', 6000, 6020, 1)
        mcast.set_address_pool(pool)
        guarded.set_shared(False)
        for f in (plain, mcast):
            allow(f, 'anybody')
            allow(f, 'viewer')
        allow(guarded, 'viewer')
        allow(guarded, 'anybody', construct=False)
        mounts.add_factory(f'/{name}', plain)
        mounts.add_factory(f'/{name}-mcast', mcast)
        mounts.add_factory(f'/{name}-auth', guarded)
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string('media.factory.role', 'viewer')
    auth.add_digest('viewer', 'secret', token)
    anybody = GstRtspServer.RTSPToken()
    anybody.set_string('media.factory.role', 'anybody')
    auth.set_default_token(anybody)
    server.set_auth(auth)
    if not server.attach(None):
        sys.exit('camera: cannot listen on ' + ':'.join(sys.argv[1:3]))
    print('ready', flush=True)
    GLib.MainLoop().run()


main()
