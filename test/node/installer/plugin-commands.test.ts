import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { connect } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { twoChats } from "#harness/team/team-rig.ts";

const folder = join(import.meta.dirname, "..", "..", "..", "plugin", "commands");
const commands = readdirSync(folder);

interface Listed {
  readonly name: string;
  readonly inputSchema: { readonly properties?: object | undefined };
}

/** All tools that a chat can have, with the names of their arguments. */
async function tools(): Promise<Map<string, string[]>> {
  const alone = await connect(tempRuntime());
  const { one } = await twoChats();
  const listed = await Promise.all([alone, one].map(({ client }) => client.listTools()));
  const all = listed.flatMap((answer): readonly Listed[] => answer.tools);
  return new Map(all.map(({ name, inputSchema }) => [name, Object.keys(inputSchema.properties ?? {})]));
}

it("[CL69] the plugin brings the commands resume, dismiss, save and who", () => {
  expect(commands.toSorted()).toEqual(["dismiss.md", "resume.md", "save.md", "who.md"]);
});

it.each(commands)(
  "[CL69] %s needs only tools that the plugin brings, is allowed to use them, and runs no program",
  async (file) => {
    const text = readFileSync(join(folder, file), "utf8");
    const known = await tools();
    const named = [...new Set([...text.matchAll(/`(shim_\w+)`/g)].map(([, name]) => name ?? ""))];
    const allowed = /^allowed-tools: (.*)$/m.exec(text)?.[1]?.split(", ") ?? [];
    expect(allowed.toSorted()).toEqual(named.map((name) => `mcp__plugin_shim_shim__${name}`).toSorted());
    for (const name of named) expect([...known.keys()]).toContain(name);
    const knownArguments = named.flatMap((name) => known.get(name) ?? []);
    const given = [...text.matchAll(/`([a-z]\w*)(?:: [^`]+)?`/g)].map(([, name]) => name ?? "");
    for (const name of given.filter((one) => !one.startsWith("shim_") && one !== "incomplete")) {
      expect(knownArguments).toContain(name);
    }
    expect(text).not.toMatch(/!`|\bshim (resume|up|sessions|explain)\b/);
  },
);
