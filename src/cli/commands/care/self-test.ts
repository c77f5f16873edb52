import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { arch, homedir, hostname, release, tmpdir, userInfo } from "node:os";
import { basename, join } from "node:path";
import { version } from "../../../platform/version.ts";
import { messageOf } from "../../../shared/error.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { SelfTestBench } from "./self-test/bench.ts";
import { renderReport, withoutPersonal, type PersonalWords, type SelfTestCheck } from "./self-test/report.ts";
import { steps, type Step } from "./self-test/steps.ts";

/** [IP7] Does what a chat needs of SHIM, with real processes in a temporary folder. */
export async function selfTest(cli: Cli): Promise<CommandResult> {
  const startedAt = performance.now();
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "shim-self-test-")));
  const words = personalWords(cli, folder);
  try {
    cli.progress("Testing in a temporary folder ...");
    const bench = new SelfTestBench(cli, folder);
    for (const name of ["shim", "project"]) mkdirSync(join(folder, name), { mode: 0o700 });
    const checks: SelfTestCheck[] = [];
    for (const step of steps) checks.push(await check(step, bench, words));
    await bench.end();
    const about = aboutMachine(cli);
    const isPassed = checks.every(({ state }) => state === "ok");
    const report = { isPassed, ms: since(startedAt), about, checks };
    return ok({ data: report, text: renderReport(report), isFailed: !isPassed, isVerbatim: true });
  } finally {
    // Windows frees the files of a killed process late.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

async function check([name, run]: Step, bench: SelfTestBench, words: PersonalWords): Promise<SelfTestCheck> {
  const startedAt = performance.now();
  const result = await run(bench).then(
    (text) => ({ state: "ok" as const, text }),
    (error: unknown) => ({ state: "failed" as const, text: messageOf(error) }),
  );
  return { name, state: result.state, ms: since(startedAt), text: withoutPersonal(result.text, words) };
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
}

/** Versions only: what is found first in a line of words may be a person's. */
function aboutMachine({ io }: Cli): Readonly<Record<string, string>> {
  const versionIn = (program: string): string =>
    /(?<!\d)\d+\.\d+[\w.]*/.exec(io.versionOf(program) ?? "")?.[0] ?? "none";
  return {
    shim: version,
    system: `${io.machine.platform} ${release()} ${arch()}`,
    node: io.nodeVersion,
    git: versionIn("git"),
    "claude code": versionIn("claude"),
  };
}

function personalWords({ io }: Cli, folder: string): PersonalWords {
  const node = basename(io.launch.node);
  return [
    [folder, "<test>"],
    [tmpdir(), "<tmp>"],
    [homedir(), "<home>"],
    [io.launch.node, node],
    [userInfo().username, "<user>"],
    [hostname(), "<machine>"],
  ];
}
