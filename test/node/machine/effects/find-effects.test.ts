import * as fc from "fast-check";
import { expect, it } from "vitest";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { findEffects } from "#src/machine/sessions/effects.ts";
import { killFigures } from "#harness/effects/kill-model.ts";

const found = (command: string, tool = "Bash"): string[] =>
  findEffects(tool, { command }).map(({ kind, command: text, shows }) => `${kind} ${text}: ${shows ?? "nothing"}`);

it.each([
  ["git push", "push git push: all"],
  ["git add . && git commit -m 'x; y' && git push", "push git push: all"],
  ["npm publish --access public && echo published", "publish npm publish --access public: success"],
  ["set -euo pipefail\nnpm test | tee log\nnpm publish", "publish npm publish: all"],
  ["set -o pipefail; ls | npm publish", "publish npm publish: nothing"],
  ["git push; echo ok", "push git push: nothing"],
  ["git push 2>&1 | tail -3", "push git push 2>&1: nothing"],
  ["git push &", "push git push: nothing"],
  ["[ -f x ] || exit 0\ngit push", "push git push: nothing"],
  ["if true; then git push; fi", "push git push: nothing"],
  ["echo $(git push)", "push git push: nothing"],
  ["(cd api; git push)", "push git push: all"],
  ["case $1 in a) git push;; esac", "push git push: nothing"],
  ["ship() { git push; }; ship", "push git push: nothing"],
  ["body=$'it\\'s; ' && git push", "push git push: all"],
  ["echo $(((1 + 2) * 3)) && git push", "push git push: all"],
  ["sudo -u me A=b timeout 60 git -C ../api push", "push sudo -u me A=b timeout 60 git -C ../api push: all"],
  ["bash -lc 'git push && ls'", "push git push: success"],
  ["npx --yes wrangler deploy", "deployment npx --yes wrangler deploy: all"],
  ["bundle exec rails db:migrate", "migration bundle exec rails db:migrate: all"],
  ["kubectl -n prod apply -f x.yaml", "deployment kubectl -n prod apply -f x.yaml: all"],
  ["gh pr edit 7 --title x", "message gh pr edit 7 --title x: all"],
  ["gh api -H 'a: b' repos/a/b/labels/x -X DELETE", "deletion gh api -H 'a: b' repos/a/b/labels/x -X DELETE: all"],
  [
    "gh api graphql -F id=1 -f query='mutation($id: ID!) { x }'",
    "message gh api graphql -F id=1 -f query='mutation($id: ID!) { x }': all",
  ],
  ["gh release create v1 --notes 'git push'", "release gh release create v1 --notes 'git push': all"],
])("finds in %j what cannot be undone, and what the exit status shows of it", (command, expected) => {
  expect(found(command)).toEqual([expected]);
});

it.each([
  "echo git push",
  "echo 'git push'",
  "git commit -m 'before git push'",
  'git commit -m "$(cat <<\'EOF\'\nfix: "quoted"; git push && npm publish\n\ngit push\nEOF\n)"',
  "cat > deploy.sh <<EOF\ngit push\nEOF",
  "grep -r 'npm publish' docs",
  "git stash push -m x",
  "git push --dry-run",
  "npm publish --dry-run",
  "kubectl apply -f x --dry-run=client",
  "# git push",
  "npm run build",
  "git push --help",
  "commands=(git push)",
  "gh api repos/a/b/pulls/7/comments --paginate",
  "gh api graphql -f owner=a -f query='query($owner: String!) { x }'",
  "npx wrangler d1 execute db --local --command 'DELETE FROM x'",
  "alembic upgrade head --sql",
])("does not find in %j a mention or a trial run", (command) => {
  expect(found(command)).toEqual([]);
});

it("reads a text of any form in linear time and without an end", () => {
  for (const part of ["$(", "`", '"', "'", "(", "<<A\n", "if ", "{ ", "\\", "bash -c '", "git push;", "<("])
    expect(() => found(part.repeat(20_000))).not.toThrow();
});

it("finds calls of MCP tools, of clients that name them in their way, but not SHIM's own", () => {
  const names = ["mcp__mail__send_email", "github-create_pull_request", "supabase_apply_migration"];
  expect(findEffects("send_message", { to: "another agent of the client" })).toEqual([]);
  expect(findEffects("collaboration__send_message", { to: "another agent of the client" })).toEqual([]);
  expect(names.map((name) => findEffects(name, { to: "a" }).map(({ kind }) => kind))).toEqual([
    ["message"],
    ["message"],
    ["migration"],
  ]);
  for (const name of ["mcp__shim__shim_send", "Read", "mcp__mail__list_emails"])
    expect(findEffects(name, {})).toEqual([]);
});

it("finds the commands that the user added", () => {
  const own = [{ words: "make ship|send", kind: "deployment", unless: "test", check: "curl {1}" }] as const;
  const script = [{ words: "deploy.sh *", kind: "deployment" }] as const;
  for (const command of ["./deploy.sh prod", "bash -e ops/deploy.sh prod", "sudo sh deploy.sh prod"])
    expect(findEffects("Bash", { command }, script)).toMatchObject([{ command, shows: "all" }]);
  expect(findEffects("Bash", { command: "cat deploy.sh" }, script)).toEqual([]);
  const [effect] = findEffects("Bash", { command: "make -j2 ship eu" }, own);
  expect(effect).toMatchObject({ kind: "deployment", command: "make -j2 ship eu", check: "curl eu" });
  expect(findEffects("Bash", { command: "make ship test" }, own)).toEqual([]);
});

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
    { numRuns: 60, seed: 1 },
  );
  expect(shown).toBeGreaterThan(10);
});

it.each([0, 0.7, 1])(
  "with the guard on nothing is repeated in 1,000 kills, and it asks without need before fewer than 2 % of the calls; commands that outlive a kill: %d",
  (outlives) => {
    const { kills, repeated, asked, needless, calls } = killFigures({ guard: "on", outlives }, 1_000, 1);
    expect({ kills, repeated }).toEqual({ kills: 1_000, repeated: 0 });
    expect(asked).toBeGreaterThan(100);
    expect(needless / calls).toBeLessThan(0.02);
  },
);
