import { type Command, Option } from "commander";
import { codemodTools, type CodemodTool } from "../../../transform/change.ts";
import type { Cli, CommonOptions } from "../../cli.ts";
import { durationUpTo } from "../../times.ts";

export interface TransformFlags extends CommonOptions {
  readonly branch?: boolean;
  readonly tool?: CodemodTool;
  /** False: none are to run. */
  readonly tests?: string | false;
  readonly allowRepeat?: boolean;
  readonly trust?: boolean;
  readonly timeLimit?: number;
}

export function addTransform(program: Command, cli: Cli): void {
  const command = program
    .command("transform <what> [path...]")
    .description(
      "change code by a rule of ast-grep, a codemod or `lint-fix`, in a worktree: shows the diff, or leaves a branch",
    )
    .option("--branch", "leave a branch shim/transform-... once a second run changes nothing and the tests pass")
    .addOption(new Option("--tool <name>", "what a codemod is for (default: by its text)").choices(codemodTools))
    .option("--tests <command>", "with --branch: has to succeed (default: npm test, where package.json has one)")
    .option("--no-tests", "with --branch: run no tests")
    .option("--allow-repeat", "with --branch: also where a second run changes the files again")
    .option("--trust", "also run code of the project, this time")
    .option("--time-limit <time>", "for each run of the tool, and for the tests (default: 10m)", durationUpTo(1));
  cli.define(command, async (flags: TransformFlags, what: string, ...rest: unknown[]) => {
    const { transform } = await import("./run-transform.ts");
    // `[path...]` comes as one array.
    return transform(cli, flags, what, rest.flat() as string[]);
  });
}
