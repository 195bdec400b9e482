// Waiting for what other programs do.
import { setTimeout as sleep } from "node:timers/promises";

export const PATIENCE_MS = 30_000;

/** Waits until it is true; its value. */
export async function until(what, check) {
	const end = Date.now() + PATIENCE_MS;
	for (;;) {
		const value = await check();
		if (value) return value;
		if (Date.now() > end) throw new Error(`never: ${what}`);
		await sleep(20);
	}
}
