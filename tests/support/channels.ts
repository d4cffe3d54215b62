/** Channels in memory of their own. */
import { Channel, type ChannelOptions, type ChannelType, type ChannelValue } from "../../mod.ts";
import { codec, type Manner, Record } from "../workers/channels.ts";

/** A channel. */
export function channelOf<const Type extends ChannelType>(
  options: ChannelOptions<Type> & { readonly codec: Type },
): Channel<ChannelValue<Type>> {
  return Channel.create(new SharedArrayBuffer(Channel.bytes(options)), options);
}

const CODECS = { clone: "clone", f64: "f64", record: Record, codec } as const;

/** A channel for a manner of sending, as threads see it. */
export function channelFor(
  manner: Manner,
  options: Omit<ChannelOptions, "codec">,
): Channel<unknown> {
  return channelOf({ ...options, codec: CODECS[manner] }) as Channel<unknown>;
}
