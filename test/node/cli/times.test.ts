import { expect, it } from "vitest";
import { localTime, parseDuration, parseTime } from "#src/cli/times.ts";

const T0 = 1_700_000_000_000;

it("[CL21] durations are numbers with units, one after the other; anything else is none", () => {
  const good: [string, number][] = [
    ["90s", 90_000],
    ["15m", 900_000],
    ["15min", 900_000],
    ["3h", 10_800_000],
    ["2d", 172_800_000],
    ["1w", 604_800_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [" 2D ", 172_800_000],
  ];
  for (const [text, ms] of good) expect([text, parseDuration(text)]).toEqual([text, ms]);
  for (const text of ["", "2", "d", "-1h", "0s", "2 days", "1h foo", "1e3s", "9999999h"])
    expect([text, parseDuration(text)]).toEqual([text, null]);
});

it("[CL21] a moment is so long ago, a day from its first to its last moment, or ISO 8601", () => {
  expect(parseTime("2h", T0, "first")).toBe(T0 - 7_200_000);
  expect(parseTime("2023-11-14", T0, "first")).toBe(new Date(2023, 10, 14).getTime());
  expect(parseTime("2023-11-14", T0, "last")).toBe(new Date(2023, 10, 15).getTime() - 1);
  expect(parseTime("2023-11-14T22:13:20Z", T0, "first")).toBe(T0);
  for (const text of ["2023-02-31", "2023-13-01", "yesterday", "2023-11-14T99:00", "14.11.2023"]) {
    expect([text, parseTime(text, T0, "first")]).toEqual([text, null]);
  }
});

it("[CL21] times are shown as the machine's own time zone has them, and can be read again", () => {
  const text = localTime(T0);
  expect(text).toMatch(/^2023-11-1[45] \d{2}:\d{2}:20$/);
  expect(parseTime(text.replace(" ", "T"), 0, "first")).toBe(T0);
});
