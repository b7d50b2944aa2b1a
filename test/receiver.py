#!/usr/bin/python3
"""An independent HTTP server that writes the body of one POST or PUT to a file. usage: receiver.py PORT FILE"""
import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        with open(sys.argv[2], 'wb', buffering=0) as out:
            if self.headers.get('Transfer-Encoding', '').lower() == 'chunked':
                while size := int(self.rfile.readline().split(b';')[0], 16):
                    out.write(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
            else:
                out.write(self.rfile.read(int(self.headers['Content-Length'])))
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    do_PUT = do_POST

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
