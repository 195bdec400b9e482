/*
 * Checks a picture from strangers and writes it anew: plaza-image jpeg|png|webp
 *   descriptor 0  the picture
 *   descriptor 1  what was found, one line of JSON: {"width":…,"height":…} or {"error":"…"}
 *   descriptor 3  gets the picture, upright, in sRGB, without metadata, at most 2048 pixels a side
 *   descriptor 4  gets its thumbnail, at most 400 pixels a side
 * Nothing of the input is copied: what the decoder does not understand is not there afterwards.
 *
 * The process expects to be taken over. Its size is checked before a pixel is decoded, memory, time
 * and output are limited, and before the first byte is read it gives up every system call but those
 * of computing: no file can be opened, nothing be started, no network be reached. It ends with 0,
 * with 1 and an error, or with 2 and no line when it is not the picture's fault.
 */
#include <vips/vips.h>

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAIN_FD 3
#define THUMB_FD 4

#define PIXELS_MAX 40000000
#define SIDE_MAX 12000
#define MAIN_SIDE 2048
#define THUMB_SIDE 400
#define JPEG_QUALITY 85
#define WEBP_QUALITY 80
#define WEBP_EFFORT 2     /* 4 takes twice the time for a twentieth of the size */
#define PNG_COMPRESSION 4 /* 6 takes half as long again for a fifth of the size */

#define MEMORY_MAX (512ul << 20) /* address space; the libraries alone take 200 MiB of it */
#define CPU_SECONDS 2
#define OUTPUT_MAX (32ul << 20)
#define FILES_MAX 32

#define MAGIC_BYTES 12

static const struct kind {
	const char *name;
	const char *magic;
	size_t magic_n, magic_at;
	const char *loader, *saver;
} kinds[] = {
	{ "jpeg", "\xff\xd8\xff", 3, 0, "jpegload_source", "jpegsave_target" },
	{ "png", "\x89PNG\r\n\x1a\n", 8, 0, "pngload_source", "pngsave_target" },
	{ "webp", "WEBP", 4, 8, "webpload_source", "webpsave_target" },
};

/* ---- the way out ---- */

static _Noreturn void
refuse(const char *why)
{
	dprintf(STDOUT_FILENO, "{\"error\":\"%s\"}\n", why);
	_exit(1);
}

/*
 * The client is told only that the picture is no good. What the libraries say is
 * for who runs the program by hand: for a worker, standard error is /dev/null.
 */
static _Noreturn void
refuse_damaged(void)
{
	fputs(vips_error_buffer(), stderr);
	refuse("the picture is damaged");
}

/* Not the picture's fault: without walls it is not even read. */
static _Noreturn void
give_up(const char *why)
{
	fprintf(stderr, "plaza-image: %s\n", why);
	_exit(2);
}

/* ---- the walls ---- */

static void
limit(int what, rlim_t value)
{
	struct rlimit r = { value, value };

	if (setrlimit((__rlimit_resource_t)what, &r) < 0)
		give_up("limits cannot be set");
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* What decoders, their threads and malloc() need once every library is loaded. */
static const int allowed[] = {
	SYS_read,
	SYS_pread64,
	SYS_readv,
	SYS_write,
	SYS_writev,
	SYS_lseek,
	SYS_fstat,
	SYS_dup,
	SYS_close,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_clone3,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_gettid,
	SYS_getpid,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_rt_sigaction,
	SYS_sigaltstack,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_getrandom,
	SYS_exit,
	SYS_exit_group,
};
#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

/* A refused call fails with EPERM: libraries ask for this and that and go on without. */
static void
close_system_calls(void)
{
#ifdef ARCHITECTURE
	struct sock_filter code[ALLOWED + 6];
	size_t n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ALLOWED; i++)
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			(unsigned)allowed[i], (unsigned char)(ALLOWED - i), 0);
	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA));
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

	struct sock_fprog program = { .len = (unsigned short)n, .filter = code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) <
			0)
		give_up("system calls cannot be closed");
#endif
}

/*
 * Loads what will be needed while it is still possible: codecs, colour profiles, the
 * type system.
 */
static void
warm_up(void)
{
	VipsImage *black = NULL, *grey = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!vips_type_find("VipsOperation", kinds[i].loader) ||
			!vips_type_find("VipsOperation", kinds[i].saver))
			give_up("a codec is missing");
	if (vips_black(&black, 8, 8, NULL) ||
		vips_thumbnail_image(black, &grey, 4, "export_profile", "srgb", NULL))
		give_up(vips_error_buffer());
	g_object_unref(black);
	g_object_unref(grey);
}

static void
enter_sandbox(const char *program)
{
	mallopt(M_ARENA_MAX, 1); /* an arena for each thread would use up the address space */
	limit(RLIMIT_AS, MEMORY_MAX);
	limit(RLIMIT_CPU, CPU_SECONDS);
	limit(RLIMIT_FSIZE, OUTPUT_MAX);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, FILES_MAX);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		give_up("the process cannot be closed to others");
	setenv("VIPS_DISC_THRESHOLD", "1g",
		1); /* large pictures stay in memory: no file can be opened */
	if (VIPS_INIT(program))
		give_up(vips_error_buffer());
	vips_block_untrusted_set(TRUE);
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	warm_up();
	close_system_calls();
}

/* ---- the picture ---- */

static const struct kind *
kind_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static void
check_magic(const struct kind *kind)
{
	unsigned char head[MAGIC_BYTES];
	ssize_t n = pread(STDIN_FILENO, head, sizeof(head), 0);

	if (n < (ssize_t)sizeof(head) ||
		memcmp(head + kind->magic_at, kind->magic, kind->magic_n) != 0)
		refuse("the picture is not of its type");
}

/* Only the header is read. Returns the longer side. */
static int
check_size(const struct kind *kind, VipsSource *source)
{
	VipsImage *image = NULL;

	if (vips_call(kind->loader, source, &image, "access", VIPS_ACCESS_SEQUENTIAL, NULL))
		refuse_damaged();
	int64_t width = vips_image_get_width(image), height = vips_image_get_height(image);
	int64_t side = width > height ? width : height;
	if (side > SIDE_MAX || width * height > PIXELS_MAX)
		refuse("the picture has too many pixels");
	if (vips_image_get_n_pages(image) > 1)
		refuse("moving pictures are not taken");
	g_object_unref(image);
	return (int)side;
}

/* Opens the picture for decoding. JPEG and WebP can be decoded smaller, which saves most of the
 * work. */
static VipsImage *
open_picture(const struct kind *kind, VipsSource *source, int side)
{
	VipsImage *image = NULL;
	int shrink = 1, failed;

	while (shrink < 8 && side / (shrink * 2) >= MAIN_SIDE)
		shrink *= 2;
	if (vips_source_rewind(source))
		refuse_damaged();
	if (strcmp(kind->name, "jpeg") == 0)
		failed = vips_jpegload_source(source, &image, "access", VIPS_ACCESS_SEQUENTIAL,
			"fail_on", VIPS_FAIL_ON_WARNING, "shrink", shrink, NULL);
	else if (strcmp(kind->name, "webp") == 0)
		failed = vips_webpload_source(source, &image, "access", VIPS_ACCESS_SEQUENTIAL,
			"fail_on", VIPS_FAIL_ON_WARNING, "scale",
			side > MAIN_SIDE ? (double)MAIN_SIDE / side : 1.0, NULL);
	else
		failed = vips_pngload_source(source, &image, "access", VIPS_ACCESS_SEQUENTIAL,
			"fail_on", VIPS_FAIL_ON_WARNING, NULL);
	if (failed)
		refuse_damaged();
	return image;
}

/* The savers' own way of leaving metadata out misses those of WebP. */
static void
forget_metadata(VipsImage *image)
{
	gchar **fields = vips_image_get_fields(image);

	for (gchar **f = fields; *f; f++)
		vips_image_remove(image, *f);
	g_strfreev(fields);
}

/* Decodes row by row while shrinking, in sRGB; what is left is turned upright in memory. */
static VipsImage *
decode(VipsImage *picture)
{
	VipsImage *small = NULL, *image, *upright = NULL;

	if (vips_thumbnail_image(picture, &small, MAIN_SIDE, "height", MAIN_SIDE, "size",
		    VIPS_SIZE_DOWN, "no_rotate", TRUE, "export_profile", "srgb", NULL))
		refuse_damaged();
	image = vips_image_copy_memory(small);
	if (!image || vips_autorot(image, &upright, NULL))
		refuse_damaged();
	g_object_unref(image);
	image = vips_image_copy_memory(upright);
	if (!image)
		refuse_damaged();
	forget_metadata(image);
	return image;
}

static void
save(const struct kind *kind, VipsImage *image, int fd)
{
	VipsTarget *target = vips_target_new_to_descriptor(fd);
	int failed;

	if (!target)
		refuse_damaged();
	if (strcmp(kind->name, "png") == 0)
		failed = vips_pngsave_target(
			image, target, "compression", PNG_COMPRESSION, "strip", TRUE, NULL);
	else if (strcmp(kind->name, "webp") == 0)
		failed = vips_webpsave_target(image, target, "Q", WEBP_QUALITY, "effort",
			WEBP_EFFORT, "strip", TRUE, NULL);
	else
		failed = vips_jpegsave_target(image, target, "Q", JPEG_QUALITY, "optimize_coding",
			TRUE, "strip", TRUE, NULL);
	if (failed)
		refuse_damaged();
	g_object_unref(target);
}

int
main(int argc, char **argv)
{
	const struct kind *kind = argc == 2 ? kind_by_name(argv[1]) : NULL;

	if (!kind) {
		fputs("usage: plaza-image jpeg|png|webp <picture 3>picture 4>thumbnail\n", stderr);
		return 2;
	}
	enter_sandbox(argv[0]);
	check_magic(kind);

	VipsSource *source = vips_source_new_from_descriptor(STDIN_FILENO);
	if (!source)
		refuse_damaged();
	int side = check_size(kind, source);
	VipsImage *image = decode(open_picture(kind, source, side)), *thumb = NULL;
	save(kind, image, MAIN_FD);
	if (vips_thumbnail_image(
		    image, &thumb, THUMB_SIDE, "height", THUMB_SIDE, "size", VIPS_SIZE_DOWN, NULL))
		refuse_damaged();
	save(kind, thumb, THUMB_FD);
	dprintf(STDOUT_FILENO, "{\"width\":%d,\"height\":%d}\n", vips_image_get_width(image),
		vips_image_get_height(image));
	_exit(0);
}
