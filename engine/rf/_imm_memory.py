"""What a track remembers beside the states of its models: the places in one row of float64."""

MEMORY = 32
"""Length of the row."""

(
    # moments: of the newest report, of the state, of the newest fresh position (measured); positions used
    NOW, AT, FRESH, USED,
    # origin of the tangent plane, rad and m
    LAT0, LON0, ALT0,
    # newest position and velocity as reported, when, when measured, and since when the velocity is the same
    LAST_LAT, LAST_LON, LAST_TIME, LAST_MEASURED, LAST_SPEED, LAST_TRACK, TOLD,
    # start of the leg that is held against the reported velocities: place, time, velocity reported there
    LEG_E, LEG_N, LEG_TIME, LEG_VE, LEG_VN,
    # legs so far, their running deviation from the reported velocities, and the scatter about it
    LEGS, DEV_E, DEV_N, SCATTER,
    # running squared residuals of positions: fast (is the track lost?) and slow (how surprising is it?)
    STRAIN, NIS,
    # altitude filter: altitude, rate, covariance, moment
    Z, VZ, PZZ, PZV, PVV, Z_AT,
    # whether the states of the models wait for the window to be filtered
    PENDING,
) = range(32)  # fmt: skip
