import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { base62, draw } from "#harness/secrets/secret-draw.ts";

const token = `ghp_${draw(8).chars(base62, 36)}`;
const password = `${draw(9).chars(base62, 12)}!`;

function bytesBelow(folder: string): string {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n");
}

it.each([
  ["team", "send", "all", `deploy with ${token}`],
  ["team", "send", `topic:${token}`, "hi"],
  ["team", "send", "all", "--json", JSON.stringify({ password, note: token })],
  ["team", "state", "set", "deploy", token],
  ["team", "state", "set", token, "1"],
  ["team", "state", "set", "db_password", password],
  ["task", "submit", "build", "--payload", JSON.stringify({ env: { API_TOKEN: token, DB_PASSWORD: password } })],
  ["task", "submit", "build", "--tag", token],
])("what `shim %s %s %s` stores holds no secret", async (...argv) => {
  const home = aCliHome();
  const ran = await home.shim(...argv);
  const bytes = bytesBelow(home.paths.home);
  expect(bytes).not.toContain(token);
  expect(bytes).not.toContain(password);
  if (ran.code === 0) expect(ran.err).toMatch(/Secrets removed: \d/);
});

it("a graph of tasks from a file holds no secret, and the rest of it stays", async () => {
  const home = aCliHome();
  const file = join(home.project, "plan.yaml");
  writeFileSync(file, `- type: deploy\n  payload: {password: "${password}", to: staging}\n`);
  expect((await home.shim("task submit --graph", file)).code).toBe(0);
  expect(bytesBelow(home.paths.home)).not.toContain(password);
  expect(bytesBelow(home.paths.home)).toContain("staging");
});

it("a key is redacted alike where it is set and where it is read", async () => {
  const home = aCliHome();
  await home.shim("team state set", token, '"here"');
  expect((await home.shim("team state get", token)).out).toBe('"here"\n');
  expect((await home.shim("team state list")).out).toContain("[redacted:github-token]");
});
