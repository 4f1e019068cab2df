# guard.py - runs one program and says on descriptor 3 how it ended. sandbox.c starts it, and has the rest of the walls.
#
# In    standard input: a line of three words, a secret, seconds, bytes of memory; then the program, to the end
# Out   "ready\n" before the program starts; at its end the secret, a verdict and what went wrong, a line each
#
# The program gets an empty set of globals, so that its __name__ is "builtins". What could hurt the machine by mistake is None, or cannot
# be imported; what is meant to get out does. A program that does not look for the secret cannot say by mistake that it passed: leaving
# early says nothing.
def main():
    import builtins, io, os, resource, shutil, signal, subprocess, sys

    class Late(BaseException):
        pass

    class Closed(io.TextIOBase):
        def readable(self):
            return False

        def read(self, *ignored):
            raise OSError()

        readline = readlines = read

    def read_all():
        pieces = []
        while True:
            piece = os.read(0, 1 << 16)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    def limit(memory):
        for what in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_STACK):
            hard = resource.getrlimit(what)[1]
            most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
            resource.setrlimit(what, (most, most))

    def put_away():
        for module, names in (
            (builtins, "exit quit help"),
            (os, "kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames truncate replace "
                 "unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir"),
            (shutil, "rmtree move chown"),
            (subprocess, "Popen"),
        ):
            for name in names.split():
                setattr(module, name, None)
        for name in ("ipdb", "joblib", "resource", "psutil", "tkinter"):
            sys.modules[name] = None

    def wait_for_threads():
        threading = sys.modules.get("threading")
        others = True
        while threading and others:  # those that threads start, too
            others = [t for t in threading.enumerate() if t is not threading.current_thread() and not t.daemon]
            for thread in others:
                thread.join()

    def on_alarm(*ignored):
        if running[0]:
            late[0] = True
            raise Late()

    def judge(program):
        try:
            exec(program, {})
            wait_for_threads()
            return "passed", ""
        except Late:
            return "timeout", ""
        except MemoryError:
            return "memory", "MemoryError"
        except BaseException as e:
            return "failed", "%s: %s" % (type(e).__name__, e)

    def tell(verdict, error):
        text = "%s\n%s\n%s\n" % (secret, verdict, error.replace("\n", " ")[:400])
        write(3, text.encode("utf-8", "replace"))

    write, leave, flushes = os.write, os._exit, (sys.stdout.flush, sys.stderr.flush)
    running, late = [True], [False]
    head, program = read_all().split(b"\n", 1)
    secret, seconds, memory = head.decode().split()
    program = program.decode("utf-8", "replace")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.set_inheritable(3, False)
    sys.stdin = sys.__stdin__ = Closed()
    sys.argv = [""]
    signal.signal(signal.SIGALRM, on_alarm)
    set_timer = signal.setitimer
    limit(int(memory))
    put_away()
    sys.modules["__main__"].__dict__.pop("main", None)
    write(3, b"ready\n")
    try:
        set_timer(signal.ITIMER_REAL, float(seconds))
        verdict, error = judge(program)
    except BaseException as e:  # of saying what went wrong
        verdict, error = "failed", type(e).__name__
    running[0] = False
    if late[0]:  # whatever the program made of it
        verdict, error = "timeout", ""
    for flush in flushes:
        try:
            flush()
        except BaseException:
            pass
    tell(verdict, error)
    leave(0)


main()
