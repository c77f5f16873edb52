import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { idleProgram } from "#harness/machine/cli-home.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { type completedShells, completionScript } from "#src/cli/completion.ts";

const scriptFor = async (shell: (typeof completedShells)[number]): Promise<string> =>
  completionScript(await idleProgram(() => undefined), shell);

/** What each shell offers for a command line whose last word is begun. */
const asked: Readonly<Record<"bash" | "zsh" | "fish", (script: string, words: readonly string[]) => string>> = {
  bash: (script, words) =>
    execFileSync(
      "bash",
      ["-c", `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _shim; echo "\${COMPREPLY[@]}"`, script, ...words],
      { encoding: "utf8" },
    ),
  zsh: (script, words) =>
    execFileSync(
      "zsh",
      [
        "-fc",
        `compdef() {}; _files() {}; compadd() { print -r -- \${(M)@[2,-1]:#\${words[-1]}*} }; . "$0"; words=("$@"); CURRENT=$#; _shim`,
        script,
        ...words,
      ],
      { encoding: "utf8" },
    ),
  fish: (script, words) =>
    execFileSync("fish", ["--no-config", "-c", 'source $argv[1]; complete -C "$argv[2..-1]"', script, ...words], {
      encoding: "utf8",
    }),
};

it.each(Object.keys(asked) as (keyof typeof asked)[])(
  "%s completes commands, those below them, options and choices",
  async (shell) => {
    if (spawnSync(shell, ["--version"]).error) return;
    const folder = temporaryFolder();
    write(folder, { [shell]: await scriptFor(shell) });
    const offered = (...words: string[]): string[] =>
      asked[shell](join(folder, shell), ["shim", ...words])
        .trim()
        .split(/\s+/)
        .toSorted();
    expect(offered("rep")).toEqual(["report"]);
    expect(offered("--json", "sessions", "sh")).toEqual(["show"]);
    expect(offered("resume", "--dism")).toEqual(["--dismiss"]);
    expect(offered("completion", "power")).toEqual(["powershell"]);
  },
);

it("PowerShell's script has the words of each command", async () => {
  const script = await scriptFor("powershell");
  expect(script).toMatch(/^ {4}'sessions' = 'show .* --help'$/m);
  expect(script).toMatch(/^ {4}'completion' = 'bash zsh fish powershell /m);
});
