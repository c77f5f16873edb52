// Builds git for Windows from Debian's source, for tests under Wine: no registry has it as a program. Needs Debian's
// gcc-mingw-w64-x86-64-win32, libz-mingw-w64-dev and make, and takes three minutes of a processor.
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

const cache = join(import.meta.dirname, "..", ".scratch", "clients");
const folder = join(cache, "git-win");
const compiler = "x86_64-w64-mingw32";

/** A folder with git.exe, and the libraries that it needs. Throws where it was not built. */
export function windowsGit(): string {
  if (existsSync(folder)) return folder;
  throw new Error('There is no git for Windows for the tests. Run "npm run build:windows-git".');
}

/** Without what needs other libraries, or a shell. */
const parts = [
  "uname_S=MINGW",
  "uname_O=",
  "uname_R=1",
  "MSYSTEM=MINGW64",
  "HOST_CPU=x86_64",
  "BLK_SHA1=1",
  `CC=${compiler}-gcc`,
  `AR=${compiler}-ar`,
  `RC=${compiler}-windres -O coff`,
  "USE_LIBPCRE=",
  "USE_LIBPCRE2=",
  ...["CURL", "EXPAT", "GETTEXT", "OPENSSL", "PERL", "PYTHON", "TCLTK", "ICONV"].map((name) => `NO_${name}=1`),
];

/** Headers of Windows that git names in other letters than mingw does. */
const headers = { "NTSecAPI.h": "ntsecapi.h", "Psapi.h": "psapi.h", "tlHelp32.h": "tlhelp32.h" };

function fetchSource(into: string): void {
  // With lists of its own: those of the machine have no sources.
  const sources = readFileSync("/etc/apt/sources.list.d/debian.sources", "utf8");
  mkdirSync(join(into, "sources"));
  mkdirSync(join(into, "lists", "partial"), { recursive: true });
  writeFileSync(join(into, "sources", "debian.sources"), sources.replaceAll(/^Types: deb$/gm, "Types: deb-src"));
  const own = { "Dir::Etc::SourceList": "/dev/null", "Dir::Etc::SourceParts": join(into, "sources") };
  const kept = { "Dir::State::Lists": join(into, "lists"), "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "" };
  const options = Object.entries({ ...own, ...kept }).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  for (const words of [["update"], ["source", "--download-only", "git"]])
    execFileSync("apt-get", ["-qq", ...options, ...words], { cwd: into, stdio: ["ignore", 2, 2] });
  const archive = readdirSync(into).find((name) => name.endsWith(".orig.tar.xz"));
  if (archive === undefined) throw new Error("Debian has no source of git.");
  mkdirSync(join(into, "git"));
  execFileSync("tar", ["xf", archive, "-C", "git", "--strip-components=1"], { cwd: into });
}

function library(name: string): string {
  const found = execFileSync("find", ["/usr", "-name", name, "-path", `*${compiler}*`], { encoding: "utf8" });
  const path = found.split("\n").find((one) => !one.includes("posix"));
  if (!path) throw new Error(`There is no ${name} of mingw.`);
  return path;
}

if (import.meta.main && !existsSync(folder)) {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "partial-"));
  try {
    fetchSource(work);
    for (const [name, own] of Object.entries(headers)) symlinkSync(`/usr/${compiler}/include/${own}`, join(work, name));
    const make = ["make", "-s", `-j${availableParallelism()}`, ...parts, `CFLAGS=-O0 -I${work}`, "git.exe"];
    execFileSync("nice", make, { cwd: join(work, "git"), stdio: ["ignore", 2, 2] });
    const built = join(work, "built");
    mkdirSync(built);
    for (const name of ["zlib1.dll", "libssp-0.dll", "libgcc_s_seh-1.dll"])
      copyFileSync(library(name), join(built, name));
    copyFileSync(join(work, "git", "git.exe"), join(built, "git.exe"));
    renameSync(built, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
