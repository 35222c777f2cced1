#!/usr/bin/env python3
"""Runs the AVX-512 code of packages on an emulated processor, for machines whose own has none.

Boots a Linux kernel in Bochs, which emulates a Skylake-X, with the runtime, the goldens and
their packages in its memory; each golden's logits, decoding, gradients and training steps must
meet the authors' numbers there. With --kernels also every test of the x86 code generator that
compiles a kernel and runs it. The emulator does some 70 million instructions a second: about
five minutes, an hour with --kernels.

Needs Debian's bochs, bochsbios, grub-pc-bin, xorriso, mtools, busybox-static and zstd, and a
Linux kernel (--kernel, or the newest package of Debian, which is unpacked, not installed).
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOLDENS = ROOT / "test/goldens/data"
# Names of /proc/cpuinfo that x86-64-v4 adds: codegen/x86/X86Codegen.cpp.
FEATURES = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

INIT = """#!/bin/sh
PATH=/bin
busybox mkdir -p /proc /dev /tmp
busybox mount -t proc proc /proc
busybox mount -t devtmpfs dev /dev
export LD_LIBRARY_PATH=/lib HOME=/tmp
busybox echo "@flags $(busybox grep -m1 ^flags /proc/cpuinfo)"
. /work.sh
busybox echo "@done"
busybox sleep 1
busybox poweroff -f
"""

# Bochs 2.7 tells the size of compacted XSAVE areas wrongly, upon which Linux would go without AVX:
# noxsaves and clearcpuid make it use the standard format.
GRUB = """set timeout=0
menuentry test {
  linux /boot/vmlinuz console=ttyS0 quiet nokaslr mitigations=off noxsaves clearcpuid=xsavec
  initrd /boot/initrd
}
"""

BOCHS = """megs: {megabytes}
cpu: model=corei7_skylake_x, count=1, ips=100000000, reset_on_triple_fault=1
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={image}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={serial}
display_library: rfb, options="timeout=0"
sound: driver=dummy
speaker: enabled=0
clock: sync=none
log: {log}
panic: action=fatal
"""


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def fail(message):
    sys.exit(f"emulate_avx512: error: {message}")


def call(*command, **options):
    """Runs a command and returns its output; ends with what it said when it fails."""
    words = list(map(str, command))
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode:
        fail(f"{' '.join(words)}:\n{done.stdout.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def debian_kernel(folder):
    """The kernel image of Debian's newest kernel package."""
    depends = call("apt-cache", "depends", "linux-image-amd64")
    package = re.search(r"Depends: (linux-image-\S+)", depends)
    if not package:
        fail("no package linux-image-amd64; name a kernel with --kernel")
    say(f"kernel: {package[1]}")
    call("apt-get", "download", "-q", package[1], cwd=folder)
    call("dpkg-deb", "-x", *folder.glob("linux-image-*.deb"), folder / "kernel")
    return next((folder / "kernel/boot").glob("vmlinuz-*"))


def add_program(guest, program):
    """Copies a program and the shared libraries that it loads."""
    shutil.copy(program, guest / "bin")
    for library in re.findall(r"(/\S+) \(0x", call("ldd", program)):
        target = guest / ("lib64" if "ld-linux" in library else "lib")
        if not (target / Path(library).name).exists():
            shutil.copy(library, target)


def add_goldens(options, guest):
    """The lines of the guest's script that check each golden, in float32."""
    lines = []
    names = [path.name for path in sorted(GOLDENS.iterdir()) if path.is_dir()]
    for name in names:
        folder = guest / name
        folder.mkdir()
        for file in ("config.json", "model.safetensors", "expected.safetensors"):
            shutil.copy(GOLDENS / name / file, folder)
        package = folder / "f32.txpkg"
        limits = ("--max-batch", "4", "--max-seq-len", "256")
        call(options.bin / "transxssm-compile", folder, "-o", package, "-q", *limits)
        lines.append(f"transxssm-gpu-check golden /{name}/f32.txpkg /{name} --device cpu")
    return lines


def add_kernel_tests(options, guest):
    add_program(guest, options.bin / "X86CodegenTest")
    # Whole models last: each of these four takes as long as all others.
    return [f"X86CodegenTest --gtest_color=no --gtest_filter={f}Conformance.*" for f in ("-", "")]


def guest_tree(options, guest):
    for folder in ("bin", "lib", "lib64"):
        (guest / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", guest / "bin")
    (guest / "bin/sh").symlink_to("busybox")
    add_program(guest, options.bin / "transxssm-gpu-check")
    lines = add_goldens(options, guest)
    if options.kernels:
        lines += add_kernel_tests(options, guest)
    # An answer may have many lines, so the work is numbered.
    script = [
        f'busybox echo "@begin {number}"; {line}; busybox echo "@end {number} $?"'
        for number, line in enumerate(lines)
    ]
    (guest / "work.sh").write_text("\n".join(script) + "\n")
    (guest / "init").write_text(INIT)
    (guest / "init").chmod(0o755)
    return lines


def boot_image(options, folder, guest):
    initrd, iso = folder / "iso/boot/initrd", folder / "iso"
    (iso / "boot/grub").mkdir(parents=True)
    call("sh", "-c", f"find . | cpio -o -H newc --quiet | zstd -q -3 > {initrd}", cwd=guest)
    shutil.copy(options.kernel or debian_kernel(folder), iso / "boot/vmlinuz")
    (iso / "boot/grub/grub.cfg").write_text(GRUB)
    call("grub-mkrescue", "-o", folder / "boot.iso", iso)


class Report:
    """What the guest writes to its serial line, read as it comes."""

    def __init__(self, lines):
        self.lines = lines
        self.current, self.text = None, []
        self.passed = self.finished = 0
        self.flags = set()

    def feed(self, line):
        words = line.split()
        if not line.startswith("@"):
            self.text.append(line)
            if re.match(r"\[ +(OK|FAILED) +\]", line):
                print("    " + line, flush=True)
        elif words[0] == "@flags":
            self.flags = set(words[1:])
        elif words[0] == "@begin":
            self.current, self.text = int(words[1]), []
        elif words[0] == "@end":
            self.end(int(words[2]))

    def end(self, status):
        self.finished += 1
        self.passed += status == 0
        print(f"{'pass' if status == 0 else 'FAIL'}  {self.lines[self.current]}")
        try:
            checks = json.loads("\n".join(self.text))["checks"]
        except (ValueError, KeyError):
            checks = []
            if status:
                print("\n".join(self.text[-40:]))
        for check in checks:
            error = "not a number" if check["error"] is None else f"{check['error']:.2e}"
            same = "same bits again" if check["same_bits"] else "OTHER BITS AGAIN"
            print(f"      {check['name']}: {error} of {check['bound']:.0e}, {same}")
        sys.stdout.flush()

    def verdict(self):
        missing = [name for name in FEATURES if name not in self.flags]
        if missing:
            return (
                f"expected a processor with {' '.join(FEATURES)}, got none of {' '.join(missing)}"
            )
        if self.finished != len(self.lines):
            return f"expected {len(self.lines)} answers, got {self.finished}"
        if self.passed != self.finished:
            return f"{self.finished - self.passed} of {self.finished} failed"
        return ""


def emulate(options, folder, report):
    """Boots the image; returns when the guest has powered off or the time is over."""
    serial, log = folder / "serial.log", folder / "bochs.log"
    image = folder / "boot.iso"
    megabytes = 2048 if options.kernels else 512
    settings = BOCHS.format(image=image, serial=serial, log=log, megabytes=megabytes)
    (folder / "bochsrc").write_text(settings)
    (folder / "commands").write_text("c\n")  # Debian's bochs starts in its debugger.
    serial.touch()
    with open(folder / "bochs.out", "w") as out, open(serial, errors="replace") as lines:
        command = ["bochs", "-q", "-f", folder / "bochsrc", "-rc", folder / "commands"]
        emulator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            follow(emulator, lines, report, time.monotonic() + options.minutes * 60)
        finally:
            emulator.kill()
            emulator.wait()


def follow(emulator, lines, report, deadline):
    partial = ""
    while time.monotonic() < deadline:
        ended = emulator.poll() is not None
        partial += lines.read()
        *whole, partial = partial.split("\n")
        for line in whole:
            report.feed(line.rstrip("\r"))
        if ended:
            return
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bin", type=Path, default=ROOT / "build/bin", help="the built programs")
    parser.add_argument("--kernel", type=Path, help="Linux kernel image to boot")
    parser.add_argument("--kernels", action="store_true", help="run the code generator's tests too")
    parser.add_argument("--minutes", type=float, default=180, help="give up after so long")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    for program in ("bochs", "grub-mkrescue", "xorriso", "zstd", "cpio", "busybox"):
        if not shutil.which(program):
            fail(f"{program} not found; ./dev avx512 installs what is needed")
    with tempfile.TemporaryDirectory(prefix="avx512-") as name:
        folder = Path(name)
        say("packages of the goldens")
        lines = guest_tree(options, folder / "guest")
        boot_image(options, folder, folder / "guest")
        say("booting the emulated processor: about two minutes")
        report = Report(lines)
        emulate(options, folder, report)
        why = report.verdict()
        if why:
            print((folder / "bochs.out").read_text(errors="replace")[-1000:], file=sys.stderr)
            fail(why)
        say(f"all {report.passed} passed")


if __name__ == "__main__":
    main()
