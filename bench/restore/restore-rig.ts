import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runningHost } from "../../src/local-mcp/host-client/host-status.ts";
import { pathsIn } from "../../src/platform/paths.ts";
import { untilFound } from "../../test/harness/claude/claude-code.ts";

export interface RigProcess {
  readonly pid: number;
  readonly command: string;
}

/** Git with none of the developer's settings. */
export function git(folder: string, ...args: string[]): string {
  const env = { PATH: process.env["PATH"], GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  return execFileSync("git", ["-C", folder, ...args], {
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** One developer's machine: a home, a git project and a folder for SHIM, in a temporary folder. */
export class RestoreRig {
  readonly home: string;
  readonly project: string;
  readonly shimHome: string;

  static readonly #living = new Set<RestoreRig>();

  constructor(folders: { readonly home: string; readonly project: string; readonly shimHome: string }) {
    this.home = folders.home;
    this.project = folders.project;
    this.shimHome = folders.shimHome;
    RestoreRig.#living.add(this);
  }

  /** For the end of the bench in the middle of its work: leaves neither processes nor folders. */
  static removeAll(): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (const rig of RestoreRig.#living) {
      for (let tries = 0; tries < 40 && rig.processes().length > 0; tries++) {
        rig.killAll();
        Atomics.wait(pause, 0, 0, 50);
      }
      rmSync(dirname(rig.home), { recursive: true, force: true, maxRetries: 5 });
    }
  }

  static make(files: Readonly<Record<string, string>>): RestoreRig {
    const root = realpathSync(mkdtempSync(join(tmpdir(), "shim-restore-")));
    const home = join(root, "home");
    const rig = new RestoreRig({
      home,
      project: join(root, "project"),
      shimHome: join(root, "shim"),
    });
    mkdirSync(rig.home);
    rig.makeProject(files);
    return rig;
  }

  makeProject(files: Readonly<Record<string, string>>): void {
    mkdirSync(this.project);
    git(this.project, "init", "-q", "-b", "main");
    this.nameUser();
    this.write(files);
    git(this.project, "add", ".");
    git(this.project, "commit", "-q", "-m", "start");
  }

  /** The chat commits, too. */
  nameUser(): void {
    git(this.project, "config", "user.name", "Bench");
    git(this.project, "config", "user.email", "bench@localhost");
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.project, path)), { recursive: true });
      writeFileSync(join(this.project, path), content);
    }
  }

  /** The living processes that were started in this home: each has its home in the environment. Linux only. */
  processes(): RigProcess[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && read(`/proc/${name}/environ`).split("\0").includes(`HOME=${this.home}`))
      .map((name) => ({ pid: Number(name), command: read(`/proc/${name}/cmdline`).replaceAll("\0", " ").trim() }))
      .filter(({ command }) => command !== "");
  }

  /** Clients of the chats that the host still has, also those whose front has ended. */
  async servedClients(): Promise<(number | null)[]> {
    const asked = await runningHost({ paths: pathsIn(this.shimHome) }, "GET", "/status");
    return asked.ok ? (asked.value.host?.chats ?? []).map(({ client }) => client) : [];
  }

  killAll(): void {
    for (const { pid } of this.processes()) kill(pid, "SIGKILL");
  }

  /** Ends all processes and removes the folder that holds home, project and SHIM's folder. */
  async remove(): Promise<void> {
    await untilFound(() => {
      this.killAll();
      return this.processes().length === 0 || null;
    }, "the end of all processes");
    rmSync(dirname(this.home), { recursive: true, force: true, maxRetries: 5 });
    RestoreRig.#living.delete(this);
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Empty where a process ended before it was read. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
