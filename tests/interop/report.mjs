// Steps with one line each: "  ok  name" or "  FAILED  name" and why. A step that fails ends the program: the
// next ones build on it.
let passed = 0;

export async function step(name, run) {
	try {
		const value = await run();
		passed += 1;
		console.log(`  ok  ${name}`);
		return value;
	} catch (error) {
		console.log(`  FAILED  ${name}`);
		console.log(`    ${error.stack ?? error}`);
		process.exit(1);
	}
}

export function finish(program) {
	console.log(`${program}: ${passed} checks`);
	process.exit(passed === 0 ? 1 : 0);
}
