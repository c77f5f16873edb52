import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, it } from "vitest";
import { LiveFeed } from "#src/local-mcp/page/page-app.ts";

/** A feed whose timers fire when the test says so. */
class FeedRig {
  timers: { readonly work: () => void; readonly ms: number }[] = [];
  readonly feed = new LiveFeed((work, ms) => {
    const timer = { work, ms };
    this.timers.push(timer);
    return () => void (this.timers = this.timers.filter((one) => one !== timer));
  });

  /** An open page, and the lines that it was sent. */
  open(): { readonly lines: string[]; readonly close: () => void } {
    const lines: string[] = [];
    const response = Object.assign(new EventEmitter(), {
      write: (text: string) => lines.push(text.trim()),
      end: () => response.emit("close"),
    });
    this.feed.add(response as unknown as ServerResponse);
    return { lines, close: () => void response.emit("close") };
  }

  fire(ms: number): void {
    const due = this.timers.filter((one) => one.ms === ms);
    this.timers = this.timers.filter((one) => !due.includes(one));
    for (const { work } of due) work();
  }
}

it("changes within a second are one line, and different ones are all", () => {
  const rig = new FeedRig();
  const { lines } = rig.open();
  rig.feed.changed("team");
  for (const part of ["team", "sessions", "team"] as const) rig.feed.changed(part);
  expect(lines).toEqual(['{"changed":"all"}', '{"changed":"team"}']);
  rig.fire(1_000);
  expect(lines.slice(2)).toEqual(['{"changed":"all"}']);
  rig.fire(1_000);
  expect(lines).toHaveLength(3);
  rig.feed.changed("sessions");
  expect(lines.at(-1)).toBe('{"changed":"sessions"}');
});

it("nothing is done while no page is open; a closed page is forgotten, an open one is felt for", () => {
  const rig = new FeedRig();
  rig.feed.changed("team");
  expect(rig.timers).toEqual([]);
  const { lines, close } = rig.open();
  rig.fire(30_000);
  expect(lines.at(-1)).toBe("");
  expect(rig.feed.size).toBe(1);
  close();
  expect(rig.feed.size).toBe(0);
  rig.fire(30_000);
  expect(rig.timers).toEqual([]);
  rig.open();
  rig.feed.close();
  expect(rig.feed.size).toBe(0);
});

it("after costly reads the pages hear of nothing for eighty times as long, at most ten seconds, and then of all of it", () => {
  const rig = new FeedRig();
  const { lines } = rig.open();
  rig.feed.changed("team");
  rig.feed.spent(40);
  rig.feed.spent(60);
  rig.feed.changed("team");
  rig.fire(1_000);
  expect(lines).toHaveLength(2);
  rig.fire(7_000);
  expect(lines).toHaveLength(3);
  rig.feed.spent(90_000);
  rig.fire(1_000);
  rig.feed.changed("team");
  rig.fire(9_000);
  expect(lines).toHaveLength(4);
  rig.feed.spent(10);
  rig.fire(1_000);
  rig.feed.changed("sessions");
  expect(lines.at(-1)).toBe('{"changed":"sessions"}');
});
