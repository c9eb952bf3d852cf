/* manifest_mount - files beside the compose file that travel with a manifest. Internal. */
#ifndef SUTRA_MANIFEST_MANIFEST_MOUNT_H
#define SUTRA_MANIFEST_MANIFEST_MOUNT_H

#include "manifest/manifest_model.h"

/* Reads what the workload's relative mounts hold: regular files, of a folder without those
 * below, in order of their names. */
int sutra_workload_mounts_make(const struct workloads *all, struct workload *w);
void sutra_workload_mounts_release(struct workload *w);

#endif
