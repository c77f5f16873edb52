import { expect, it } from "vitest";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { connect, eras } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("[MC15] each session and each checkpoint is a resource: listed by name, read as JSON with all that is known", async () => {
  for (const era of eras) {
    const runtime = tempRuntime();
    const claude = new Claude(runtime, { cwd: aProject() });
    claude.turn("fix the parser");
    const { client } = await connect(runtime, { era });
    const { resources } = await client.listResources();
    expect(resources.map(({ uri, name }) => [uri.replace(/cp_.*/, "cp_"), name])).toEqual([
      [`shim://sessions/${claude.session}`, "fix the parser"],
      ["shim://checkpoints/cp_", "fix the parser"],
      ["shim://checkpoints/cp_", "fix the parser"],
    ]);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      "shim://sessions/{id}",
      "shim://checkpoints/{id}",
    ]);
    for (const { uri } of resources) {
      const { contents } = await client.readResource({ uri });
      const [content] = contents;
      const read = JSON.parse(content && "text" in content ? content.text : "") as Record<string, unknown>;
      expect(read, uri).toMatchObject({ work: { firstPrompt: "fix the parser" } });
    }
  }
});

it("[MC15] the prompt brings the brief of the session that is named, else of the newest that died", async () => {
  for (const era of eras) {
    const runtime = tempRuntime();
    const dead = new Claude(runtime, { cwd: aProject() });
    const { client } = await connect(runtime, { era });
    const prompt = async (args: Record<string, string>): Promise<string> => {
      const { messages } = await client.getPrompt({ name: "shim_recover", arguments: args });
      const content = messages[0]?.content;
      return content && "text" in content ? content.text : "";
    };
    expect(await prompt({})).toBe("SHIM knows of no session that died unfinished.");
    expect(await prompt({ session: "unknown" })).toBe('SHIM knows no session "unknown".');
    dead.turn("fix the parser");
    dead.kill();
    expect(await prompt({})).toMatch(/^Continue this work\.\n\nSHIM: an earlier session .*goal: fix the parser/s);
    expect(await prompt({ session: dead.session })).toContain("goal: fix the parser");
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual(["shim_recover"]);
  }
});
