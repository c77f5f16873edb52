import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { findEffects } from "#src/machine/sessions/find-effects.ts";

/** Scripts around pushes, each of which is named by its number and ends well or not. */
function scripts(): fc.Arbitrary<string> {
  const push = fc.constantFrom("git push good", "git push bad");
  const simple = fc.oneof(
    { weight: 4, arbitrary: push },
    fc.constantFrom(
      "true",
      "false",
      "echo git push x",
      "echo 'a; git push y'",
      "cd .",
      "# git push z\ntrue",
      "X=1 true",
    ),
    fc.constantFrom("exit 0", "exit 3", "set -e", "set -eo pipefail", "set +e", "cat <<EOF\ngit push w\nEOF\ntrue"),
  );
  const operator = fc.constantFrom(" && ", " || ", "; ", "\n", " | ", " & ", " &&\n", " 2>&1 | ", " > /dev/null; ");
  const { script } = fc.letrec<{ script: string; part: string }>((tie) => ({
    part: fc.oneof(
      { maxDepth: 2, withCrossShrink: true },
      { weight: 20, arbitrary: simple },
      tie("script").map((text) => `( ${text}\n)`),
      tie("script").map((text) => `{ ${text}\n}`),
      tie("script").map((text) => `if ${text}\nthen true; else git push good; fi`),
      tie("script").map((text) => `echo "$(${text}\n)"`),
      tie("script").map((text) => `for i in 1; do ${text}\ndone`),
      tie("script").map((text) => `case a in\n(b) true;;\n(a) ${text}\n;; esac`),
      fc.tuple(tie("script"), fc.nat()).map(([text, n]) => `f${n}() {\n${text}\n}; f${n}`),
      tie("script").map((text) => (/[`$\\]/.test(text) ? text : `x=\`${text}\n\``)),
      tie("script").map((text) => (text.includes("'") ? text : `bash -c '${text}'`)),
      simple.map((text) => `! ${text}`),
      simple.map((text) => `env A=b ${text}`),
    ),
    script: fc
      .tuple(tie("part"), fc.array(fc.tuple(operator, tie("part")), { maxLength: 4 }))
      .map(([first, others]) => first + others.flat().join("")),
  }));
  return script;
}

function numberFrom(name: string, usual: number): number {
  return Number(process.env[name] ?? usual);
}

it("what bash does with any script: each push that ran was found, and no end shows what is not so", () => {
  const folder = temporaryFolder();
  write(folder, { "bin/git": `#!/bin/sh\n[ "$1" = push ] || exit 0\necho "$3 $2" >> "$LOG"\n[ "$2" = good ]\n` });
  chmodSync(`${folder}/bin/git`, 0o755);
  const env = { PATH: `${folder}/bin:${process.env["PATH"]}` };
  let [shown, runs] = [0, 0];
  fc.assert(
    fc.property(scripts(), (text) => {
      let count = 0;
      const script = text.replaceAll(/git push (good|bad)/g, (given) => `${given} n${(count += 1)}`);
      // A command in the background may write later.
      const log = `${folder}/log-${(runs += 1)}`;
      const { status } = spawnSync("bash", ["-c", script], { cwd: folder, env: { ...env, LOG: log }, stdio: "ignore" });
      const ran = existsSync(log) ? readFileSync(log, "utf8").split("\n").filter(Boolean) : [];
      const found = findEffects("Bash", { command: script });
      const names = found.map(({ words }) => words.at(-1));
      expect(names).toEqual(expect.arrayContaining(ran.map((line) => line.split(" ")[0])));
      for (const { shows, words } of found) {
        const isDone = ran.includes(`${words.at(-1)} good`);
        if (shows !== null && shows !== "failure" && status === 0) expect([script, isDone]).toEqual([script, true]);
        if (shows === "all" && status !== 0) expect([script, isDone]).toEqual([script, false]);
        if (shows !== null) shown += 1;
      }
    }),
    { numRuns: numberFrom("SHIM_SCRIPTS", 150), seed: numberFrom("SHIM_SCRIPTS_SEED", 1) },
  );
  expect(shown).toBeGreaterThan(10);
});
