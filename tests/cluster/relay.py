"""A bad line between nodes, as a program: loses datagrams, sends some twice, and all of them late, each by another time. relay.py ADDRESS LINK..., a link
PORT,HOST,PORT,HOST: what comes to the first port goes to the second host, from the second port, and the other way round."""
import heapq
import itertools
import random
import selectors
import socket
import sys
import time

NODES_PORT = 7445
LOSS, TWICE, LATE_S = 0.3, 0.2, 0.3


def main(address, *links):
    rng, order, waiting, ends = random.Random(1), itertools.count(), [], selectors.DefaultSelector()
    for link in links:
        ports_hosts = link.split(",")
        pair = []
        for port in (int(ports_hosts[0]), int(ports_hosts[2])):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address, port))
            pair.append(s)
        for i in (0, 1):
            ends.register(pair[i], selectors.EVENT_READ, (pair[1 - i], ports_hosts[3 - 2 * i]))
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, out, to, datagram = heapq.heappop(waiting)
            out.sendto(datagram, (to, NODES_PORT))
        for key, _ in ends.select(max(waiting[0][0] - now, 0) if waiting else None):
            datagram = key.fileobj.recv(2048)
            if rng.random() < LOSS:
                continue
            for _ in range(2 if rng.random() < TWICE else 1):
                heapq.heappush(waiting, (time.monotonic() + rng.random() * LATE_S, next(order), *key.data, datagram))


if __name__ == "__main__":
    main(*sys.argv[1:])
