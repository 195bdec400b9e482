// Reporter of node --test: one line a test, as the other programs of this folder print them.
export default async function* lines(source) {
	let count = 0;
	for await (const { type, data } of source) {
		if (data?.skip !== undefined) continue;
		if (type === "test:pass" && data.nesting === 0) {
			count += 1;
			yield `  ok  ${data.name}\n`;
		} else if (type === "test:fail" && data.nesting === 0) {
			count += 1;
			const error = data.details.error.cause ?? data.details.error;
			yield `  FAILED  ${data.name}\n    ${error.stack ?? error}\n`;
		}
	}
	yield `${count} checks\n`;
}
