// Types of plaza-client. Documents of the REST API are open: the server may add members.

export interface Money {
	amount: number;
	currency: string;
}

export interface Message {
	id: string;
	chatId: string;
	seq: number;
	senderId: string;
	type: "text" | "image" | "file" | "card" | "offer" | (string & {});
	body: string;
	card?: { productId: string; sellerId: string; title: string; price: Money };
	attachments?: { id: string; kind: string; name: string; mediaType: string; size: number }[];
	replyTo?: number;
	reactions?: { emoji: string; count: number; userIds: string[] }[];
	editNo?: number;
	editedAt?: string;
	deleted?: boolean;
	createdAt: string;
	[more: string]: unknown;
}

/** A message as it is shown: one that is on its way has a cmid and no seq. */
export type ShownMessage = Partial<Message> &
	Pick<Message, "chatId" | "body" | "type" | "createdAt"> & {
		status: "received" | "sent" | "delivered" | "read" | "pending" | "failed";
		cmid?: string;
		/** Code of the problem of a failed one. */
		error?: string;
	};

export interface Chat {
	id: string;
	kind: "private" | "group" | (string & {});
	title?: string | null;
	members?: number | null;
	peer?: { id: string; name: string; avatarUrl: string | null } | null;
	product?: { id: string; title: string } | null;
	lastMessage: Message | null;
	lastSeq: number;
	readSeq: number;
	/** null in a group */
	peerReadSeq: number | null;
	peerReceivedSeq: number | null;
	/** The user's history begins behind this. */
	fromSeq?: number;
	unread: number;
	muted: boolean;
	archived: boolean;
	hidden: boolean;
	createdAt: string;
	lastMessageAt: string;
	[more: string]: unknown;
}

export interface Notification {
	id: string;
	type: string;
	title: string;
	body: string;
	link: string | null;
	priority: "low" | "normal" | "high";
	read: boolean;
	createdAt: string;
}

export interface Order {
	id: string;
	number: number;
	groupId: string;
	buyerId: string;
	sellerId: string;
	shopId: string;
	status: string;
	paymentStatus: string;
	version: number;
	createdAt: string;
	[more: string]: unknown;
}

export interface Cart {
	id: string;
	version: number;
	expiresAt: string;
	items: {
		productId: string;
		title: string;
		quantity: number;
		unitPrice: Money;
		subtotal: Money;
		priceChanged: boolean;
		agreed: boolean;
		available: boolean;
		[more: string]: unknown;
	}[];
	quantity: number;
	/** null while the lines have several currencies */
	total: Money | null;
	[more: string]: unknown;
}

/** What came over MQTT or by GET /sync; `us` and `ep` are there in a durable one. Types are those of asyncapi.json. */
export interface PlazaEvent {
	v: number;
	t: string;
	id: string;
	ts: string;
	us?: number;
	ep?: string;
	d: Record<string, any>;
}

export interface MessageInput {
	body?: string;
	type?: "text" | "image" | "file" | "card" | "offer";
	productId?: string;
	price?: Money;
	quantity?: number;
	expiresInHours?: number;
	fileIds?: string[];
	replyTo?: number;
}

export interface User {
	id: string;
	name: string;
	role: string;
	shopId: string | null;
	[more: string]: unknown;
}

export type Page<T> = { items: T[]; nextCursor: string | null };

export type Storage =
	| {
			get(key: string): MaybePromise<string | null>;
			set(key: string, value: string): MaybePromise<unknown>;
			remove(key: string): MaybePromise<unknown>;
	  }
	| {
			getItem(key: string): MaybePromise<string | null>;
			setItem(key: string, value: string): MaybePromise<unknown>;
			removeItem(key: string): MaybePromise<unknown>;
	  };
type MaybePromise<T> = T | Promise<T>;

export interface Timing {
	request: number;
	connect: number;
	backoffFirst: number;
	greeting: number;
	gap: number;
	backoffMost: number;
	renewAt: number;
	renewSpread: number;
	sync: number;
	pollLeast: number;
	pollMost: number;
	retryFirst: number;
	retryMost: number;
	receipts: number;
	typing: number;
	typingLife: number;
	watch: number;
	beat: number;
}

export interface Options {
	/** Of the site, as https://shop.example. */
	url: string;
	/** The module MQTT.js; without it everything goes by polling. */
	mqtt?: { connect(url: string, options: object): any } | null;
	/** Where tokens, the place in the feed and unsent messages stay; memory when absent. */
	storage?: Storage;
	/** Tells two users of one storage apart. */
	name?: string;
	app?: string;
	device?: string;
	chooseUrl?(urls: string[], turn: number): string;
	fetch?: typeof fetch;
	/** Accept-Language, for the titles of problems. */
	language?: string;
	timing?: Partial<Timing>;
}

export class PlazaError extends Error {
	/** Slug of the problem, or "network". */
	code: string;
	/** 0 when there was no answer. */
	status: number;
	title: string;
	errors: { pointer?: string; code?: string; detail?: string }[];
	retryAfter?: number;
	requestId?: string;
	readonly temporary: boolean;
}

export class Emitter {
	on(type: string, listener: (...args: any[]) => void): () => void;
	once(type: string, listener: (...args: any[]) => void): () => void;
	off(type: string, listener: (...args: any[]) => void): void;
}

export class Store extends Emitter {
	readonly me: User | null;
	readonly chats: ReadonlyMap<string, Chat>;
	readonly presence: ReadonlyMap<string, { state: "online" | "idle" | "offline" | "unknown"; lastSeen?: string }>;
	/** Who types, by conversation. */
	readonly typing: ReadonlyMap<string, ReadonlySet<string>>;
	readonly blocked: ReadonlySet<string>;
	/** null until plaza.orders() was called */
	readonly orders: ReadonlyMap<string, Order> | null;
	/** null until plaza.cart() was called, and without an open cart */
	readonly cart: Cart | null;
	readonly unreadNotifications: number;
	readonly unreadMessages: number;
	chatList(): Chat[];
	messages(chatId: string): ShownMessage[];
	/** The seq from which on everything is here; 1 when nothing is older. */
	lowest(chatId: string): number;
	notificationList(): Notification[];
	orderList(): Order[];
	snapshot(): object;
}

export class Rest extends Emitter {
	readonly tokens: { accessToken: string; refreshToken: string; sessionId: string } | null;
	request(
		method: string,
		path: string,
		more?: { query?: object; body?: unknown; headers?: Record<string, string>; open?: boolean },
	): Promise<any>;
	get(path: string, query?: object): Promise<any>;
	post(path: string, body?: unknown, more?: object): Promise<any>;
	all(path: string, query?: object, most?: number): Promise<any[]>;
	refresh(): Promise<void>;
	me(): Promise<User>;
	user(id: string): Promise<User>;
	session(device?: string): Promise<any>;
	sync(place?: {
		us?: number;
		epoch?: string;
	}): Promise<{ epoch: string; from: number; to: number; more: boolean; reset: boolean; events: PlazaEvent[] }>;
	categories(query?: object): Promise<Page<any>>;
	products(query?: object): Promise<Page<any>>;
	search(query?: object): Promise<Page<any>>;
	suggest(q: string): Promise<{ items: { text: string }[] }>;
	product(id: string): Promise<any>;
	chats(most?: number): Promise<Chat[]>;
	chat(id: string): Promise<Chat>;
	openChat(about: { productId?: string; peerId?: string; sellerId?: string }): Promise<Chat>;
	messages(chat: string, query?: { before?: number; after?: number; limit?: number }): Promise<Page<Message>>;
	sendMessage(chat: string, message: MessageInput & { cmid?: string }): Promise<Message>;
	editMessage(chat: string, id: string, body: string): Promise<Message>;
	react(chat: string, id: string, emoji: string, on?: boolean): Promise<Message>;
	answerOffer(chat: string, id: string, answer: object): Promise<Message>;
	deleteMessage(chat: string, id: string): Promise<void>;
	read(chat: string, seq: number): Promise<void>;
	delivered(chat: string, seq: number): Promise<void>;
	typing(chat: string, on: boolean, kind?: string): Promise<void>;
	mute(chat: string, on: boolean): Promise<Chat>;
	archive(chat: string, on: boolean): Promise<Chat>;
	hideChat(chat: string): Promise<void>;
	notifications(query?: object): Promise<Page<Notification>>;
	unreadNotifications(): Promise<{ unread: number }>;
	readNotification(id: string): Promise<void>;
	readNotifications(upTo?: string): Promise<void>;
	deleteNotification(id: string): Promise<void>;
	online(): Promise<{ items: { userId: string; state: string }[] }>;
	blocks(): Promise<{ items: { id: string; blockedAt: string }[] }>;
	block(user: string): Promise<any>;
	unblock(user: string): Promise<void>;
	report(user: string, why: { reason: string; note?: string; chatId?: string; seq?: number }): Promise<any>;
	cart(): Promise<Cart | null>;
	order(purchase: object, key?: string): Promise<any>;
	orders(query?: object): Promise<Page<any>>;
	orderConfirm(id: string): Promise<any>;
	orderDelivered(id: string): Promise<any>;
	orderComplete(id: string): Promise<any>;
	orderCancel(id: string, reason?: string): Promise<any>;
}

/**
 * Events: "change" (a Set of what changed in the store), "event" and each event's own type, "status", "reload" (the
 * feed began anew: everything was loaded again), "revoked", "signedout", "trouble" (for the log).
 */
export class Plaza extends Emitter {
	constructor(options: Options);
	readonly rest: Rest;
	readonly store: Store;
	readonly me: User | null;
	readonly status: "live" | "polling" | "offline" | "stopped";
	readonly place: { us: number; epoch: string } | null;

	signIn(email: string, password: string, device?: string): Promise<User>;
	register(person: {
		email: string;
		password: string;
		name?: string;
		role?: "client" | "seller";
		shopName?: string;
	}): Promise<User>;
	/** Whether somebody is signed in from the last time. */
	resume(): Promise<boolean>;
	signOut(): Promise<void>;

	start(): Promise<void>;
	stop(): Promise<void>;
	wake(): void;
	foreground(on: boolean, idle?: boolean): void;
	/** "poll" leaves MQTT alone, "off" all of the network: for trying things out. */
	network(mode: "auto" | "poll" | "off"): void;
	settled(): Promise<void>;

	/** Fails only when the server refused the message; until it has answered, it is told again. */
	send(chatId: string, message: string | MessageInput): Promise<Message> & { cmid: string };
	retry(cmid: string): void;
	discard(cmid: string): void;
	read(chatId: string, seq?: number): void;
	typing(chatId: string, on?: boolean, kind?: "text" | "voice" | "file"): void;
	watch(userIds: string[]): void;
	history(chatId: string, limit?: number): Promise<boolean>;
	/** Loads them; from then on events keep them in the store. */
	orders(): Promise<Order[]>;
	cart(): Promise<Cart | null>;
	openChat(about: { productId?: string; peerId?: string; sellerId?: string }): Promise<Chat>;
	editMessage(chatId: string, id: string, body: string): Promise<void>;
	react(chatId: string, id: string, emoji: string, on?: boolean): Promise<void>;
	deleteMessage(chatId: string, id: string): Promise<void>;
}

export function memoryStorage(): Storage;
