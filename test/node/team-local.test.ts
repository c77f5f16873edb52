import { expect, it } from "vitest";
import { TeamDesk } from "../support/team-desk.ts";

it("[TE18] a task goes from chat to chat", async () => {
  const desk = new TeamDesk();
  const [one, two] = [await desk.mate("plan it"), await desk.mate("build it")];
  await one.tick();
  await two.tick();
  const submitted = await one.ask("shim_submit", { tasks: [{ type: "build", payload: { what: "the parser" } }] });
  expect(submitted.output).toMatchObject({ state: "submitted", tasks: [{ task: 1, state: "queued" }] });
  const taken = await two.ask("shim_next");
  expect(taken.output).toMatchObject({ task: { task: 1, isNew: true, payload: { what: "the parser" }, attempt: 1 } });
  await two.ask("shim_report", { outcome: "progress", note: "half of it", percent: 50 });
  const chats = await one.ask("shim_chats");
  console.log(chats.text, JSON.stringify(chats.output));
  const done = await two.ask("shim_report", { outcome: "done", result: { ok: true } });
  expect(done.text).toBe("Told: task 1 is done.");
  await one.ask("shim_send", { to: "build it", text: "thanks" });
  const news = await two.ask("shim_inbox");
  console.log(news.text);
  console.log((await one.ask("shim_files", { action: "reserve", paths: ["src/**", "a.ts"] })).text);
  console.log((await two.call("shim_files", { action: "reserve", paths: ["b.ts", "src/x/y.ts"] })).text);
  console.log((await two.call("shim_files", { action: "list" })).text);
  console.log((await two.ask("shim_state_set", { key: "a/b c", value: 5 })).text);
  console.log(JSON.stringify(await two.client.readResource({ uri: "shim://state/a%2Fb%20c" })));
});
