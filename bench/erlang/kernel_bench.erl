%% Erlang/OTP's side of the kernel suite: the same casts, calls and spawns as kernel.ts.
%% One process for the whole suite: reads "CASE COUNT CALLERS" a line, answers with the nanoseconds it took.
-module(kernel_bench).
-behaviour(gen_server).
-export([main/0, init/1, handle_call/3, handle_cast/2]).

main() ->
    io:format("~s ~s~n", [erlang:system_info(otp_release), erlang:system_info(emu_flavor)]),
    loop().

loop() ->
    case io:get_line("") of
        eof -> halt(0);
        {error, _} -> halt(1);
        Line ->
            [Case, Count, Callers] = string:lexemes(string:trim(Line), " "),
            N = list_to_integer(Count),
            io:format("~b~n", [in_own_process(Case, N, list_to_integer(Callers))]),
            loop()
    end.

%% A fresh heap a run, as a caller has one; a crash is not an answer.
in_own_process(Case, N, Callers) ->
    {_, Ref} = spawn_monitor(fun() -> exit({took, run(Case, N, Callers)}) end),
    receive
        {'DOWN', Ref, process, _, {took, Ns}} -> Ns
    end.

%% A burst: all casts, then one call, which is answered after the last of them.
run("cast", N, _) ->
    {ok, Pid} = gen_server:start(?MODULE, 0, []),
    T0 = now_ns(),
    casts(Pid, N),
    N = gen_server:call(Pid, get, infinity),
    T1 = now_ns(),
    gen_server:stop(Pid),
    T1 - T0;
run("call", N, Callers) ->
    {ok, Pid} = gen_server:start(?MODULE, 0, []),
    T0 = now_ns(),
    spread(Pid, N, Callers),
    T1 = now_ns(),
    N = gen_server:call(Pid, get, infinity),
    gen_server:stop(Pid),
    T1 - T0;
%% Start and monitor one, tell it to stop, wait for its exit notice; then the next.
run("spawn", N, _) ->
    T0 = now_ns(),
    spawns(N),
    now_ns() - T0.

casts(_, 0) -> ok;
casts(Pid, N) ->
    gen_server:cast(Pid, {add, 1}),
    casts(Pid, N - 1).

spread(Pid, N, 1) -> calls(Pid, N);
spread(Pid, N, Callers) ->
    Each = N div Callers,
    Refs = [element(2, spawn_monitor(fun() -> calls(Pid, Each) end)) || _ <- lists:seq(1, Callers)],
    [receive {'DOWN', Ref, process, _, normal} -> ok end || Ref <- Refs],
    calls(Pid, N - Each * Callers).

calls(_, 0) -> ok;
calls(Pid, N) ->
    gen_server:call(Pid, {add, 1}, infinity),
    calls(Pid, N - 1).

spawns(0) -> ok;
spawns(N) ->
    {ok, {Pid, Ref}} = gen_server:start_monitor(?MODULE, 0, []),
    gen_server:cast(Pid, stop),
    receive
        {'DOWN', Ref, process, Pid, normal} -> spawns(N - 1)
    end.

now_ns() -> erlang:monotonic_time(nanosecond).

init(Sum) -> {ok, Sum}.

handle_call(get, _From, Sum) -> {reply, Sum, Sum};
handle_call({add, X}, _From, Sum) -> {reply, Sum + X, Sum + X}.

handle_cast({add, X}, Sum) -> {noreply, Sum + X};
handle_cast(stop, Sum) -> {stop, normal, Sum}.
