/* fault - a server for checks of failover: GET answers 200, every other request `status`. */
#ifndef SUTRA_CMD_PROBE_FAULT_H
#define SUTRA_CMD_PROBE_FAULT_H

/* Serves on "127.0.0.1:8887" until it is killed, two minutes at most; status: "500 Internal Server Error". 1 when it
 * cannot listen. */
int serve_fault(const char *status, const char *address);

#endif
