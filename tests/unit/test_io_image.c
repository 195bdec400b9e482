/* fcgi/io/image and fcgi/io/sniff: programs in the place of plaza-image, and the program itself in
 * its sandbox */
#include "io/image.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "unit.h"

#define ARENA_MAX ((size_t)1 << 20)

static char tool[64], real_tool[512];
static struct arena *arena;
static struct err err;

/* plaza-image stands in the build folder, above that of the unit tests. */
static int
find_tool(void **state)
{
	ssize_t n = readlink("/proc/self/exe", real_tool, sizeof(real_tool) - 32);

	(void)state;
	if (n < 0)
		return -1;
	real_tool[n] = '\0';
	for (int up = 0; up < 3; up++)
		*strrchr(real_tool, '/') = '\0';
	memcpy(real_tool + strlen(real_tool), "/plaza-image", sizeof("/plaza-image"));
	return access(real_tool, X_OK);
}

static int
begin(void **state)
{
	(void)state;
	arena = arena_new(ARENA_MAX);
	err = (struct err){ 0 };
	return 0;
}

static int
end(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static int
unnamed(const void *content, size_t n)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, n), n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Runs a shell script as the tool. */
static enum problem
run_script(const char *script, int timeout_ms, struct image_size *size)
{
	struct image_job job = { .tool = tool, .media = MEDIA_PNG, .timeout_ms = timeout_ms };
	int fd;

	snprintf(tool, sizeof(tool), "/tmp/tool-XXXXXX");
	fd = mkstemp(tool);
	assert_true(fd >= 0);
	dprintf(fd, "#!/bin/sh\n%s\n", script);
	fchmod(fd, 0700);
	close(fd);
	job.in = unnamed("in", 2);
	job.out = unnamed("", 0);
	job.thumb = unnamed("", 0);
	enum problem p = image_process(&job, arena, size, &err);
	char text[8];
	if (!p) {
		assert_int_equal(pread(job.out, text, sizeof(text), 0), 3);
		assert_memory_equal(text, "out", 3);
		assert_int_equal(pread(job.thumb, text, sizeof(text), 0), 5);
		assert_memory_equal(text, "thumb", 5);
	}
	close(job.in);
	close(job.out);
	close(job.thumb);
	unlink(tool);
	return p;
}

static void
the_program_gets_its_files_and_tells_the_size(void **state)
{
	struct image_size size = { 0 };

	(void)state;
	assert_int_equal(
		run_script("test \"$1\" = png && test \"$(cat)\" = in && printf out >&3 && "
			   "printf thumb >&4 && echo '{\"width\":7,\"height\":8}'",
			5000, &size),
		P_OK);
	assert_int_equal(size.width, 7);
	assert_int_equal(size.height, 8);
}

static void
a_refusal_reaches_the_client_in_its_words(void **state)
{
	struct image_size size;

	(void)state;
	assert_int_equal(
		run_script("echo '{\"error\":\"no good\"}'; exit 1", 5000, &size), P_BAD_IMAGE);
	assert_string_equal(err.detail, "no good");
}

static void
a_program_that_hangs_is_ended(void **state)
{
	int64_t start = clock_mono_us();
	struct image_size size;

	(void)state;
	assert_int_equal(run_script("exec sleep 30", 200, &size), P_BAD_IMAGE);
	assert_int_equal(run_script("exec >&-; exec sleep 30", 200, &size), P_BAD_IMAGE);
	assert_true(clock_mono_us() - start < 5000000);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing was left behind */
}

static void
a_program_that_dies_or_babbles_is_no_crash_of_ours(void **state)
{
	static const char *const scripts[] = { "kill -SEGV $$", "kill -XCPU $$" };
	struct image_size size;

	(void)state;
	for (size_t i = 0; i < COUNT(scripts); i++)
		assert_int_equal(run_script(scripts[i], 5000, &size), P_BAD_IMAGE);
	assert_int_equal(run_script("yes", 5000, &size), P_BAD_IMAGE);
	assert_int_equal(run_script("echo nonsense", 5000, &size), P_UNAVAILABLE);
	assert_int_equal(run_script("exit 0", 5000, &size), P_UNAVAILABLE);
	assert_int_equal(run_script("exit 127", 5000, &size), P_UNAVAILABLE);
}

static void
a_missing_program_is_our_fault(void **state)
{
	struct image_job job = { .tool = "/nowhere/plaza-image", .media = MEDIA_PNG };
	struct image_size size;

	(void)state;
	job.in = job.out = job.thumb = unnamed("", 0);
	assert_int_equal(image_process(&job, arena, &size, &err), P_UNAVAILABLE);
	close(job.in);
}

/* Not even one that is not marked to be closed. */
static void
no_descriptor_of_ours_is_left_to_the_program(void **state)
{
	struct image_size size;
	int secret = unnamed("secret", 6);

	(void)state;
	assert_int_equal(dup2(secret, 9), 9);
	assert_int_equal(run_script("n=$(ls -l /proc/self/fd | grep -c deleted); "
				    "echo \"{\\\"error\\\":\\\"$n\\\"}\"; exit 1",
				 5000, &size),
		P_BAD_IMAGE);
	assert_string_equal(err.detail, "3");
	close(9);
	close(secret);
}

static int
start_of_a_png(void)
{
	return unnamed("\x89PNG\r\n\x1a\n", 8);
}

static void
read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, text, size - 1);
	assert_true(n > 0);
	text[n] = '\0';
	close(fd);
}

/* The program waits on a pipe that nobody reads yet, so that its walls can be looked at from
 * outside. */
static void
the_sandbox_is_closed_before_the_first_byte(void **state)
{
	char text[4096];
	int in[2], report[2], status, thumb = unnamed("", 0);
	char kind[] = "png";
	char *const argv[] = { real_tool, kind, NULL };
	char *const env[] = { NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	/* Its report does not fit either: the pipe is full. */
	fcntl(report[1], F_SETFL, O_NONBLOCK);
	memset(text, 'x', sizeof(text));
	while (write(report[1], text, sizeof(text)) > 0)
		;
	fcntl(report[1], F_SETFL, 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, report[1], 1);
	posix_spawn_file_actions_adddup2(&actions, thumb, 3);
	assert_int_equal(posix_spawn(&pid, real_tool, &actions, NULL, argv, env), 0);
	posix_spawn_file_actions_destroy(&actions);

	/* A pipe has no beginning to look at, so it refuses, and hangs in telling so. */
	for (int i = 0; i < 500; i++) {
		read_proc(pid, "syscall", text, sizeof(text));
		if (strncmp(text, "1 0x1 ", 6) == 0 || strncmp(text, "64 0x1 ", 7) == 0)
			break;
		usleep(10000);
	}
	read_proc(pid, "status", text, sizeof(text));
	assert_non_null(strstr(text, "Seccomp:\t2"));
	assert_non_null(strstr(text, "NoNewPrivs:\t1"));
	read_proc(pid, "limits", text, sizeof(text));
	assert_non_null(strstr(text, "Max cpu time              2 "));
	assert_non_null(strstr(text, "Max address space         536870912 "));
	assert_non_null(strstr(text, "Max core file size        0 "));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(in[0]);
	close(in[1]);
	close(report[0]);
	close(report[1]);
	close(thumb);
}

static void
the_program_refuses_what_is_no_picture(void **state)
{
	struct image_job job = { .tool = real_tool, .media = MEDIA_PNG, .timeout_ms = 20000 };
	struct image_size size;

	(void)state;
	job.in = start_of_a_png();
	job.out = unnamed("", 0);
	job.thumb = unnamed("", 0);
	assert_int_equal(image_process(&job, arena, &size, &err), P_BAD_IMAGE);
	assert_string_equal(err.detail, "the picture is not of its type");
	close(job.in);
	static const char damaged[] = "\x89PNG\r\n\x1a\n and then nothing good";
	job.in = unnamed(damaged, sizeof(damaged) - 1);
	assert_int_equal(image_process(&job, arena, &size, &err), P_BAD_IMAGE);
	assert_string_equal(err.detail, "the picture is damaged");
	close(job.in);
	close(job.out);
	close(job.thumb);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_program_gets_its_files_and_tells_the_size, begin, end),
		cmocka_unit_test_setup_teardown(
			a_refusal_reaches_the_client_in_its_words, begin, end),
		cmocka_unit_test_setup_teardown(a_program_that_hangs_is_ended, begin, end),
		cmocka_unit_test_setup_teardown(
			a_program_that_dies_or_babbles_is_no_crash_of_ours, begin, end),
		cmocka_unit_test_setup_teardown(a_missing_program_is_our_fault, begin, end),
		cmocka_unit_test_setup_teardown(
			no_descriptor_of_ours_is_left_to_the_program, begin, end),
		cmocka_unit_test(the_sandbox_is_closed_before_the_first_byte),
		cmocka_unit_test_setup_teardown(the_program_refuses_what_is_no_picture, begin, end),
	};

	return cmocka_run_group_tests(tests, find_tool, NULL);
}
