"""nginx in front of nginx: the same two hops as in splitd, written in C, without cutting, checks and syncs.  It comes
near the upper limit.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from processes import Processes
from service import HOST, Children

_CONFIG = """\
worker_processes 2;
error_log stderr error;
pid {folder}/{name}.pid;
daemon off;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    client_body_temp_path {folder}/temp;
    proxy_temp_path {folder}/temp-proxy;
    fastcgi_temp_path {folder}/temp-fastcgi;
    uwsgi_temp_path {folder}/temp-uwsgi;
    scgi_temp_path {folder}/temp-scgi;
    upstream back {{ server {host}:{back}; keepalive 128; keepalive_requests 100000000; }}
    server {{ listen {host}:{port}; location / {{ {location} }} }}
}}
"""
_BACK = "root data; dav_methods PUT DELETE;"
_FRONT = """
        proxy_pass http://back;
        proxy_http_version 1.1;
        proxy_set_header Connection '';
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_buffer_size 64k;
        proxy_buffers 8 256k;
        proxy_busy_buffers_size 512k;
"""


class Nginx:
    """Two processes of Debian's nginx; see `service.Service`.

    :param folder: the folder of their files.
    :param port: the port of the front one; the one behind it has the next port.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._children = Children(folder)
        self.url = f"http://{HOST}:{port}"

    def start(self) -> None:
        """Start both."""
        (self._folder / "data").mkdir()
        for name, port, location in (("back", self._port + 1, _BACK), ("front", self._port, _FRONT)):
            config = self._folder / f"{name}.conf"
            user = "" if os.geteuid() else "user root;"
            text = _CONFIG.format(
                folder=self._folder,
                name=name,
                user=user,
                host=HOST,
                port=port,
                back=self._port + 1,
                location=location,
            )
            config.write_text(text)
            self._children.start(name, ["nginx", "-p", str(self._folder), "-c", str(config)], port)

    def processes(self) -> Processes:
        """Return both."""
        pids = self._children.pids()
        return Processes({"front": pids["front"], "back": pids["back"]})

    def stop(self) -> None:
        """Stop both."""
        self._children.stop()


def missing_nginx(_programs: Path) -> str:
    """Return what must be installed first; empty if nothing."""
    return "" if shutil.which("nginx") else "there is no nginx; Debian has it: apt-get install nginx-light"
