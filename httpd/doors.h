/* The listening sockets that the master hands down (LISTEN): every hub accepts on every one of them. */
#ifndef HTTPD_DOORS_H
#define HTTPD_DOORS_H

#include "httpd/hub.h"

/* What LISTEN says; a message between threads. */
struct door_set {
    int fd; /* stays open as long as the process */
    bool module, rtsp, tls, push;
    char base[64]; /* with '/' at both ends */
};
/* For server_each: opens a door of the hub. */
void doors_open(struct hub *hub, void *door_set);
void doors_close(struct hub *hub);
/* For hub_post: a certificate for connections from now on. The hub takes it, and this. */
struct door_cert {
    enum hub_tls which;
    struct tls_server *server;
};
void doors_cert(struct hub *hub, void *door_cert);
/* Handshakes under way are ended. */
void doors_stop_shaking(struct hub *hub);
/* "/media" and "media/" become "/media/". */
void door_base(struct span text, char *dst, size_t cap);

#endif
