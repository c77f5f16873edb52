import { expect, it } from "vitest";
import { aCliHome, failed } from "#harness/machine/cli-home.ts";
import { aHomeOnEdge } from "#harness/machine/cli-machines.ts";

it("this machine's own coordinator has no past to go back to, and a time is needed", async () => {
  const home = aCliHome();
  const restore = (...words: string[]) => home.shim("workspace restore", ...words);
  expect(await restore("--to", "2h", "--reason", "a wrong script", "--yes")).toMatchObject(
    failed(2, "workspace.restore needs a workspace that machines share"),
  );
  expect(await restore("--to", "soon", "--reason", "a wrong script")).toMatchObject({ code: 2 });
  expect(await restore("--reason", "a wrong script")).toMatchObject({ code: 2 });
});

it("the coordinator's refusal is shown before anything is asked; it needs the admin token", async () => {
  const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
  const words = ["--to", hourAgo, "--reason", "a wrong script"];
  const admin = await aHomeOnEdge();
  expect(await admin.shim("workspace restore", ...words)).toMatchObject(
    failed(2, "the workspace was made later than that"),
  );
  const other = await aHomeOnEdge(false);
  expect(await other.shim("workspace restore", ...words, "--dry-run")).toMatchObject({ code: 1 });
});
