import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";

const machineIdFiles = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/** [SY61] Differs in a copy of the home; uses the machine's name where there is no machine id. */
export function homeFingerprint(home: string, machine = machineId()): string {
  const stats = statSync(home, { bigint: true, throwIfNoEntry: false });
  const inode = stats ? `${stats.dev} ${stats.ino}` : "none";
  return createHash("sha256").update(`${machine} ${inode}`).digest("hex").slice(0, 32);
}

function machineId(): string {
  for (const file of machineIdFiles) {
    try {
      const id = readFileSync(file, "utf8").trim();
      if (id !== "") return id;
    } catch {
      // Not on this system.
    }
  }
  return hostname();
}
