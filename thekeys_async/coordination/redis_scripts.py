"""The scripts that Redis runs for a `RedisCoordinator`: each as a whole, or not at all.

Three are for the turns of gateways; the same three keys go to all of them:

    turn       the token of who holds the turn; Redis removes it when the lease is over
    state      a hash: `last` timestamp, the one `before` it, the one that was `refused`, `streak`, and of the last
               turn's end: `at`, `quiet`, `retry`, `failures`
    waiting    a hash: the token of each waiter -> "class since alive_until"

Three are for who leads; their key is a hash: the leader's `token` (empty for nobody's), `until`, `lease`.

All times are Redis's own, in milliseconds; only the timestamp comes from the caller's clock. The rules of turns are
those of `rules`.
"""

import re
from typing import cast

from thekeys_async.coordination.base import COMMANDS_IN_A_ROW, FAR_AHEAD, TRIED_JUST_NOW

_NOW = """
local moment = redis.call('TIME')
local now = moment[1] * 1000 + math.floor(moment[2] / 1000)
"""

TAKE = (
    _NOW
    + """
local token, command = ARGV[1], ARGV[2] == '0'
local waited, lease, alive = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local known = redis.call('HMGET', KEYS[2], 'last', 'streak', 'at', 'quiet', 'retry', 'failures', 'before', 'refused')
local last, streak, at = tonumber(known[1] or 0), tonumber(known[2] or 0), tonumber(known[3] or 0)
local quiet, retry, failures = tonumber(known[4] or 0), tonumber(known[5] or 0), tonumber(known[6] or 0)

local places, mine = {}, nil
local waiters = redis.call('HGETALL', KEYS[3])
for i = 1, #waiters, 2 do
    local class, since, until_ = string.match(waiters[i + 1], '(%d) (%d+) (%d+)')
    if waiters[i] == token then
        mine = {token = token, command = command, since = tonumber(since)}
    elseif tonumber(until_) < now or tonumber(until_) > now + alive then
        redis.call('HDEL', KEYS[3], waiters[i])
    else
        places[#places + 1] = {token = waiters[i], command = class == '0', since = tonumber(since)}
    end
end
local shown = mine ~= nil
mine = mine or {token = token, command = command, since = now - waited}

local function before(a, b)
    if a.command ~= b.command then return a.command end
    if a.since ~= b.since then return a.since < b.since end
    return a.token < b.token
end

local ahead, reads, fresh, first_read = 0, false, command and mine.since > at, not command and mine or nil
for _, place in ipairs(places) do
    if before(place, mine) then ahead = ahead + 1 end
    fresh = fresh or (place.command and place.since > at)
    if not place.command then
        reads = true
        if not first_read or before(place, first_read) then first_read = place end
    end
end
if streak >= COMMANDS_IN_A_ROW and first_read then
    if first_read == mine then ahead = 0 elseif command then ahead = ahead + 1 end
end

local function wait(milliseconds)
    redis.call('HSET', KEYS[3], token, string.format('%s %.0f %.0f', ARGV[2], mine.since, now + alive))
    redis.call('PEXPIRE', KEYS[3], alive)
    if ahead > 0 and first_read == mine then ahead = math.min(ahead, math.max(1, COMMANDS_IN_A_ROW - streak)) end
    return {0, ahead, math.ceil(milliseconds)}
end

local owner = redis.call('GET', KEYS[1])
if ahead > 0 or (owner and owner ~= token) then return wait(0) end
local ready = at + (fresh and quiet or math.max(quiet, retry))
if at <= now and now < ready then return wait(ready - now) end

local value = 0
if ARGV[6] == '1' then
    local clock, max_lead, lead = tonumber(ARGV[7]), tonumber(ARGV[9]), tonumber(ARGV[10])
    local before = tonumber(known[7] or 0)
    if known[8] and known[8] == known[1] then
        if before - clock > FAR_AHEAD and clock - last < TRIED_JUST_NOW then
            return {2, string.format('%.0f', before - clock), 0}
        end
        last = before
    end
    before = last
    if last + 1 - clock > FAR_AHEAD then last = 0 end
    local newer_than = tonumber(ARGV[8])
    if newer_than + 1 - clock <= FAR_AHEAD then last = math.max(last, newer_than) end
    local leading = last + 1 - clock
    local excess = leading - math.min(lead, max_lead)
    if excess > 0 and leading <= max_lead + 1 then return wait(excess * 1000) end
    value = math.max(math.floor(clock), last + 1)
    redis.call('HSET', KEYS[2], 'last', string.format('%.0f', value), 'before', string.format('%.0f', before))
    redis.call('HDEL', KEYS[2], 'refused')
end

redis.call('SET', KEYS[1], token, 'PX', lease)
if shown then redis.call('HDEL', KEYS[3], token) end
if command and mine.since > at then failures = math.min(failures, 1) end
redis.call('HSET', KEYS[2], 'streak', (command and reads) and streak + 1 or 0)
return {1, string.format('%.0f', value), failures}
""".replace("COMMANDS_IN_A_ROW", str(COMMANDS_IN_A_ROW))
    .replace("FAR_AHEAD", str(FAR_AHEAD))
    .replace("TRIED_JUST_NOW", str(TRIED_JUST_NOW))
)
"""Take the turn if it is free, this waiter is the next and the gateway may be asked; with the timestamp, if wanted.

Arguments: token, class (0 command, 1 read), waited ms, lease ms, ms until a silent waiter counts as dead, whether a
timestamp is wanted, clock, newer_than, max_lead, lead. Answer: {1, timestamp, failures}, {0, ahead, ms to wait}, or
{2, seconds, 0} if the last timestamp is so far ahead of the clock and the gateway has just refused the clock's own.
"""

RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
"""Keep the turn for another lease, if it is still this owner's. Arguments: token, lease ms."""

GIVE_BACK = (
    _NOW
    + """
redis.call('HDEL', KEYS[3], ARGV[1])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] then
    redis.call('HSET', KEYS[2], 'at', string.format('%.0f', now),
        'quiet', ARGV[2], 'retry', ARGV[3], 'failures', ARGV[4])
    if ARGV[5] ~= '0' then redis.call('HSET', KEYS[2], 'refused', ARGV[5]) end
end
return 1
"""
)
"""Give the turn back if it is still this owner's, or leave the queue. Arguments: token, then quiet ms, retry ms,
failures and the timestamp that was refused (or 0), unless nothing was asked of the gateway.
"""

LEAD = (
    _NOW
    + """
local known = redis.call('HMGET', KEYS[1], 'token', 'until', 'lease')
local token, lease = ARGV[1], tonumber(ARGV[2])
local over = math.min(tonumber(known[2] or 0), now + tonumber(known[3] or 0))
if not known[1] then
    -- Nobody has ever led; or Redis has lost its memory (a restart, FLUSHALL, eviction, a replica that was behind), and
    -- there is a leader that has not renewed its lease since.
    local patience = math.min(lease, math.ceil(lease / 3) + 500)
    redis.call('HSET', KEYS[1], 'token', '', 'until', string.format('%.0f', now + patience), 'lease', patience)
    return {0, patience}
elseif known[1] ~= token and now < over then
    return {0, over - now}
end
redis.call('HSET', KEYS[1], 'token', token, 'until', string.format('%.0f', now + lease), 'lease', lease)
return {1, 0}
"""
)
"""Become the leader if nobody is. The hash does not expire: without it Redis has lost its memory, or is new.

Arguments: token, lease ms. Answer: {1, 0}, or {0, ms for which another one leads, or may}.
"""

STAY = (
    _NOW
    + """
local holder = redis.call('HGET', KEYS[1], 'token')
if holder and holder ~= '' and holder ~= ARGV[1] then return {0, 0} end
local lease = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'until', string.format('%.0f', now + lease), 'lease', lease)
return {1, 0}
"""
)
"""Stay the leader for another lease; only for who leads. Where Redis has lost its memory, it is told again.

Arguments: token, lease ms. Answer: {1, 0}, or {0, 0} if another one has taken over.
"""

RESIGN = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return {0, 0} end
redis.call('HSET', KEYS[1], 'token', '', 'until', 0, 'lease', 0)
return {1, 0}
"""
"""Lead no more, if this one does. Argument: token."""

_NUMBER = re.compile(r"[0-9]{1,15}")


def is_yes(answer: object) -> bool:
    """Tell whether a script answered 1, and not something that only looks like it."""
    return type(answer) is int and answer == 1


def understood(answer: object, *, signed: bool) -> tuple[int, int, int] | None:
    """Check an answer of `TAKE`.

    Args:
        answer: The answer from Redis.
        signed: Whether a timestamp was wanted.

    Returns:
        Its three numbers; None if it is something that the script never answers.
    """
    match numbers(answer):
        case [0 | 1 | 2 as kind, first, second] if kind != 1 or bool(first) == signed:
            return kind, first, second
        case _:
            return None


def numbers(answer: object) -> list[int]:
    """Get the numbers that a script answered; nothing if it answered anything else."""
    if not isinstance(answer, list):
        return []
    parts = cast("list[object]", answer)
    found = [int(part) for part in parts if isinstance(part, int | str) and _NUMBER.fullmatch(str(part))]
    return found if len(found) == len(parts) else []
