import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Io, startGroup } from "#src/cli/io.ts";
import type { Lease } from "#src/contract/leases.ts";
import { aCliHome, type CliHome } from "./cli-home.ts";
import { lookIn } from "./look-in-folder.ts";

type Ran = ReturnType<CliHome["shim"]>;

/** A machine on which `shim team leaders run` and `shim team locks run` start programs in real time, until `stop` is aborted. */
export class LeaseCommandRig {
  readonly home = aCliHome();
  readonly stop = new AbortController();
  readonly real: Partial<Io> = {
    interrupted: () => this.stop.signal,
    wait: (ms, signal) => pause(ms, undefined, { signal }).catch(() => undefined),
    startGroup: (start) => {
      const group = startGroup(start);
      return {
        ended: group.ended,
        end: (graceMs) => {
          this.graces.push(graceMs);
          return group.end(graceMs / this.graceDivisor);
        },
      };
    },
  };
  /** Time in ms that each ended group was given. */
  readonly graces: number[] = [];
  /** Shortens that time for programs that ignore TERM. */
  graceDivisor = 1;
  /** Written by the programs, read by the test. */
  readonly #file = join(this.home.folder, "written");
  readonly #exit = join(this.home.folder, "exit");

  constructor() {
    this.home.alive.add(process.pid);
  }

  /** Runs the JavaScript `script`, then appends its term to the file. */
  lead(options: readonly string[], script: string): Ran {
    return this.#run(
      ["team", "leaders", "run", "deploy", ...options],
      `${script}; appendFileSync(file, process.env.SHIM_TERM + "\\n");`,
    );
  }

  /** Runs the JavaScript `script` while the lease is held. */
  leaseRun(options: readonly string[], script: string): Ran {
    return this.#run(["team", "locks", "run", "db", ...options], script);
  }

  /** A script knows the file as `file`, and `exitWhenAsked(code)`. */
  #run(command: readonly string[], script: string): Ran {
    const text = `const { appendFileSync, existsSync, watch, writeFileSync } = require("node:fs");
      const file = ${JSON.stringify(this.#file)};
      const exitWhenAsked = (code) => {
        const look = () => existsSync(${JSON.stringify(this.#exit)}) && process.exit(code);
        watch(${JSON.stringify(this.home.folder)}, look);
        look();
      };
      ${script}`;
    return this.home.shimWith(this.real, ...command, "--", process.execPath, "-e", text);
  }

  /** The lines of the file, once there are `count`. */
  written(count = 1): Promise<number[]> {
    return lookIn(this.home.folder, () => {
      const text = existsSync(this.#file) ? readFileSync(this.#file, "utf8").trim() : "";
      const lines = text === "" ? [] : text.split("\n");
      return lines.length >= count ? lines.map(Number) : null;
    });
  }

  askToExit(): void {
    writeFileSync(this.#exit, "");
  }

  async held(): Promise<Lease[]> {
    const { leases } = (await this.home.json("team locks list")) as { leases: Lease[] };
    return leases;
  }

  /** The states of all chats, also of those that have left. */
  async chats(): Promise<string[]> {
    const { chats } = (await this.home.json("team chats --all")) as { chats: { state: string }[] };
    return chats.map(({ state }) => state);
  }

  /** Once there are so many, as of one that waits. */
  async comeChats(count: number): Promise<void> {
    const folder = join(this.home.paths.home, "coordination");
    await lookIn(folder, async () => ((await this.chats()).length === count ? true : null));
  }

  forceRelease(resource: string): Ran {
    return this.home.shim("team locks force-release", resource, "--reason", "test", "--yes");
  }
}
