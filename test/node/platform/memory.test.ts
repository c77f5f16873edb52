import { expect, it } from "vitest";
import { oomKills, share, systemMemory, type MemorySource } from "#src/platform/memory.ts";

/** A Linux machine that is a quarter full, with the files given. */
function aMachine(files: Record<string, string> = {}, overrides: Partial<MemorySource> = {}): MemorySource {
  const all: Record<string, string> = {
    "/proc/meminfo": "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    750 kB\n",
    "/proc/self/cgroup": "0::/\n",
    ...files,
  };
  return {
    platform: "linux",
    file: (path) => all[path] ?? null,
    freePercent: () => null,
    freeBytes: () => 1,
    totalBytes: () => 4,
    ...overrides,
  };
}

const group = (path: string, max: string, current: string, stat = ""): Record<string, string> => ({
  [`/sys/fs/cgroup${path}/memory.max`]: `${max}\n`,
  [`/sys/fs/cgroup${path}/memory.current`]: `${current}\n`,
  [`/sys/fs/cgroup${path}/memory.stat`]: stat,
});

const events = (count: number): string => `low 0\noom 9\noom_kill ${count}\noom_group_kill 0\n`;

it("[SI11] Linux: what is not available is in use", () => {
  expect(share(aMachine())).toBe(0.25);
});

it("[SI11] the fullest limiting control group counts where it is fuller than the machine", () => {
  const own = { "/proc/self/cgroup": "1:name=systemd:/x\n0::/user.slice/app.scope\n" };
  const upper = group("/user.slice", "1000", "600");
  expect(share(aMachine({ ...own, ...upper, ...group("/user.slice/app.scope", "max", "900") }))).toBe(0.6);
  expect(share(aMachine({ ...own, ...upper, ...group("/user.slice/app.scope", "1000", "900") }))).toBe(0.9);
  expect(share(aMachine({ ...own, ...group("/user.slice", "1000", "100") }))).toBe(0.25);
});

it("[SI11] file cache that can be dropped is not in use", () => {
  const stat = "inactive_file_x 9\nanon 300\ninactive_file 500\n";
  expect(share(aMachine(group("", "1000", "900", stat)))).toBe(0.4);
});

it("[SI11] a share is never outside 0 to 1, and nonsense is not known", () => {
  expect(share(aMachine(group("", "1000", "5000")))).toBe(1);
  expect(share(aMachine(group("", "0", "0")))).toBe(0.25);
  expect(share(aMachine({ "/proc/meminfo": "MemTotal: x\n" }))).toBeNull();
  expect(share(aMachine({ "/proc/meminfo": "MemTotal: 0 kB\nMemAvailable: 0 kB\n" }))).toBeNull();
});

it("[SI11] macOS asks for memory pressure, other systems for free memory", () => {
  expect(share(aMachine({}, { platform: "darwin", freePercent: () => 30 }))).toBe(0.7);
  expect(share(aMachine({}, { platform: "darwin" }))).toBeNull();
  expect(share(aMachine({}, { platform: "win32" }))).toBe(0.75);
});

it("[SI12] counts out-of-memory kills in the widest group that counts them", () => {
  const own = { "/proc/self/cgroup": "0::/user.slice/app.scope\n" };
  const upper = { "/sys/fs/cgroup/user.slice/memory.events": events(3) };
  const lower = { "/sys/fs/cgroup/user.slice/app.scope/memory.events": events(1) };
  expect(oomKills(aMachine({ ...own, ...upper, ...lower }))).toBe(3);
  expect(oomKills(aMachine({ ...own, ...lower }))).toBe(1);
});

it("[SI12] without control groups, or outside the own namespace, the count is not known", () => {
  expect(oomKills(aMachine())).toBeNull();
  expect(oomKills(aMachine({ "/proc/self/cgroup": "4:memory:/a\n" }))).toBeNull();
  expect(
    oomKills(aMachine({ "/proc/self/cgroup": "0::/../other\n", "/sys/fs/cgroup/memory.events": "oom_kill 1\n" })),
  ).toBeNull();
  expect(oomKills(aMachine({ "/sys/fs/cgroup/memory.events": "oom_kill 1\n" }, { platform: "win32" }))).toBeNull();
});

it("[SI11] the machine that runs this test answers", () => {
  const known = share();
  expect(known === null || (known >= 0 && known <= 1)).toBe(true);
  const kills = oomKills();
  expect(kills === null || Number.isInteger(kills)).toBe(true);
  expect(systemMemory.totalBytes()).toBeGreaterThan(systemMemory.freeBytes());
  expect(systemMemory.file("/nowhere/at/all")).toBeNull();
  const free = systemMemory.freePercent();
  expect(free === null || (free >= 0 && free <= 100)).toBe(true);
});
