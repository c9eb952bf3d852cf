/*
 * refuse_amx PROGRAM [ARGUMENT...]: runs it where the kernel refuses the permission to use AMX's
 * tiles, as kernels before 5.16, some guests and some sandboxes do.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
enum { REQUEST_PERMISSION = 0x1023 };	/* ARCH_REQ_XCOMP_PERM */

static int refuse(void)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, REQUEST_PERMISSION, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(steps) / sizeof(steps[0]), steps };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -1;
	return syscall(SYS_arch_prctl, REQUEST_PERMISSION, 18) == -1 && errno == EPERM ? 0 : -1;
}
#else
static int refuse(void) { return 0; }
#endif

int main(int argc, char **argv)
{
	if (argc < 2 || refuse()) {
		fprintf(stderr, "refuse_amx: %s\n", argc < 2 ? "name a program" : strerror(errno));
		return 2;
	}
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 2;
}
